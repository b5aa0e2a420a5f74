package lakeflow.connect.internal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A named moment at which the process ends, to test what a restart makes of it.
 *
 * <p>{@code LAKEFLOW_FAIL_POINT=<name>@<n>} (system property or environment) chooses the moment:
 * the n-th time that {@code name} is reached in this process. A line {@code <name> <n>} is written
 * to the file that {@code LAKEFLOW_FAIL_FILE} names, then the process is halted with status 137.
 */
public final class FailPoint {

  private static final int STATUS = 137;
  private static final String CHOSEN = setting("LAKEFLOW_FAIL_POINT");
  private static final AtomicInteger REACHED = new AtomicInteger();

  private FailPoint() {}

  /** Marks the moment {@code name}. */
  public static void reach(String name) {
    if (CHOSEN == null || !CHOSEN.startsWith(name + "@")) {
      return;
    }

    int number = Integer.parseInt(CHOSEN.substring(name.length() + 1));
    if (REACHED.incrementAndGet() == number) {
      record(name + " " + number + "\n");
      Runtime.getRuntime().halt(STATUS);
    }
  }

  private static void record(String line) {
    String file = setting("LAKEFLOW_FAIL_FILE");
    if (file == null) {
      return;
    }

    try (FileChannel channel =
        FileChannel.open(
            Path.of(file),
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            StandardOpenOption.APPEND)) {
      channel.write(ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8)));
      channel.force(true);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String setting(String name) {
    String property = System.getProperty(name);
    return property != null ? property : System.getenv(name);
  }
}
