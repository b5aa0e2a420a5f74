package lakeflow.connect.spark;

import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import lakeflow.connect.arrow.ArrowBatches;
import lakeflow.connect.arrow.ChunkInputStream;
import lakeflow.connect.internal.FailPoint;
import org.apache.spark.TaskContext;
import org.apache.spark.sql.connector.metric.CustomTaskMetric;
import org.apache.spark.sql.connector.read.PartitionReader;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnarBatch;
import org.apache.spark.util.TaskCompletionListener;

/** Reads an Arrow stream in a task; closes what feeds it when the task ends, however it ends. */
class ArrowPartitionReader implements PartitionReader<ColumnarBatch> {

  private final Closeable origin;
  private final ArrowBatches batches;
  private long records;
  private long bytes;
  private boolean first = true;
  private boolean closed;

  /** Reads {@code chunks}, which {@code origin} provides. */
  ArrowPartitionReader(ChunkInputStream.Chunks chunks, Closeable origin, StructType schema) {
    this.origin = origin;
    this.batches = new ArrowBatches(new ChunkInputStream(() -> counted(chunks.next())), schema);
    TaskContext task = TaskContext.get();
    if (task != null) {
      // A task that is killed does not always close its readers.
      task.addTaskCompletionListener((TaskCompletionListener) context -> closeQuietly());
    }
  }

  @Override
  public boolean next() throws IOException {
    if (!batches.next()) {
      return false;
    }

    records += batches.current().numRows();
    if (first) {
      first = false;
      FailPoint.reach("first_batch_read");
    }

    return true;
  }

  @Override
  public ColumnarBatch get() {
    return batches.current();
  }

  @Override
  public final CustomTaskMetric[] currentMetricsValues() {
    return metrics().toArray(CustomTaskMetric[]::new);
  }

  /** What was read so far. */
  List<CustomTaskMetric> metrics() {
    return List.of(new RecordsMetric().value(records), new ArrowBytesMetric().value(bytes));
  }

  @Override
  public synchronized void close() throws IOException {
    if (closed) {
      return;
    }

    closed = true;
    try {
      origin.close();
    } finally {
      batches.close();
    }
  }

  private byte[] counted(byte[] chunk) {
    bytes += chunk == null ? 0 : chunk.length;
    return chunk;
  }

  private void closeQuietly() {
    try {
      close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
