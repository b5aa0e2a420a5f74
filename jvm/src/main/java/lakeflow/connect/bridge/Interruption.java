package lakeflow.connect.bridge;

import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import org.apache.spark.TaskContext;

/** Tells whether somebody wants the current thread to stop. */
final class Interruption {

  private Interruption() {}

  /**
   * Throws if the thread was interrupted or its task killed.
   *
   * @throws UncheckedIOException with an {@link InterruptedIOException}, which Spark takes for a
   *     clean stop
   */
  static void check() {
    TaskContext task = TaskContext.get();
    if (Thread.interrupted() || (task != null && task.isInterrupted())) {
      throw new UncheckedIOException(new InterruptedIOException("the read was interrupted"));
    }
  }
}
