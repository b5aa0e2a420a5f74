package lakeflow.connect.arrow;

import java.io.IOException;
import java.io.InputStream;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowStreamReader;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnVector;
import org.apache.spark.sql.vectorized.ColumnarBatch;

/**
 * Reads an Arrow IPC stream as batches of a Spark schema, columns matched by name.
 *
 * <p>Holds one batch at a time; a batch is valid until the next one is read.
 */
public final class ArrowBatches implements AutoCloseable {

  private final StructType schema;
  private final BufferAllocator allocator;
  private final ArrowStreamReader reader;
  private ColumnarBatch batch;
  private boolean closed;

  /** Reads {@code ipc}, which stays the caller's to close. */
  public ArrowBatches(InputStream ipc, StructType schema) {
    this.schema = schema;
    this.allocator = new RootAllocator();
    this.reader = new ArrowStreamReader(ipc, allocator);
  }

  /** Reads the next batch; false at the end. */
  public boolean next() throws IOException {
    if (!reader.loadNextBatch()) {
      return false;
    }

    VectorSchemaRoot root = reader.getVectorSchemaRoot();
    if (batch == null) {
      // The reader loads every batch into the same vectors.
      ColumnVector[] columns = VectorMapping.map(root.getFieldVectors(), schema);
      batch = new ColumnarBatch(columns);
    }
    batch.setNumRows(root.getRowCount());

    return true;
  }

  /** The batch that was read last. */
  public ColumnarBatch current() {
    return batch;
  }

  @Override
  public void close() throws IOException {
    if (closed) {
      return;
    }

    closed = true;
    try (allocator) {
      reader.close(false);
    }
  }
}
