package lakeflow.connect.spark;

import java.io.Serial;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import lakeflow.connect.bridge.NativeReader;
import lakeflow.connect.bridge.ReadPlan;
import lakeflow.connect.bridge.Wanted;
import lakeflow.connect.internal.FailPoint;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.metric.CustomTaskMetric;
import org.apache.spark.sql.connector.read.Batch;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReader;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnarBatch;

/** A read of a table, in splits if it can be read by several tasks. */
final class LakeflowBatch implements Batch {

  private final ReadOptions options;
  private final Wanted wanted;
  private final StructType schema;
  private ReadPlan plan;

  LakeflowBatch(ReadOptions options, Wanted wanted, StructType schema) {
    this.options = options;
    this.wanted = wanted;
    this.schema = schema;
  }

  /**
   * The columns to ask for so that {@code required} can be read.
   *
   * <p>A query that only counts rows needs none; the first one of the table stands for them then,
   * as a read without columns does not exist.
   */
  static List<String> columns(StructType table, StructType required) {
    return required.isEmpty()
        ? List.of(table.fieldNames()[0])
        : List.of(required.fieldNames());
  }

  @Override
  public synchronized InputPartition[] planInputPartitions() {
    if (plan == null) {
      int slots = SparkSession.active().sparkContext().defaultParallelism();
      plan = ReadPlan.of(options, wanted, slots);
    }

    return plan.splits().stream().map(Share::new).toArray(InputPartition[]::new);
  }

  /** Counters of the planning; empty before it. */
  synchronized Map<String, Long> planned() {
    return plan == null ? Map.of() : plan.metrics();
  }

  @Override
  public PartitionReaderFactory createReaderFactory() {
    return new Factory(options, wanted, schema);
  }

  /** What one task reads. */
  record Share(String split) implements InputPartition {}

  /** Opens the read on the executor. */
  static final class Factory extends ColumnarReaderFactory {

    @Serial private static final long serialVersionUID = 1L;

    private final ReadOptions options;
    private final Wanted wanted;
    private final StructType schema;

    Factory(ReadOptions options, Wanted wanted, StructType schema) {
      this.options = options;
      this.wanted = wanted;
      this.schema = schema;
    }

    @Override
    public PartitionReader<ColumnarBatch> createColumnarReader(InputPartition partition) {
      NativeReader reader = NativeReader.batch(options, wanted, ((Share) partition).split());
      return new BatchReader(reader, schema);
    }
  }

  /** Batches as native code delivers them. */
  private static final class BatchReader extends ArrowPartitionReader {

    private final NativeReader reader;

    private BatchReader(NativeReader reader, StructType schema) {
      super(new Chunks(reader), reader, schema);
      this.reader = reader;
    }

    @Override
    List<CustomTaskMetric> metrics() {
      List<CustomTaskMetric> metrics = new ArrayList<>(super.metrics());
      metrics.addAll(ScanMetrics.counted(reader.metrics()));
      return metrics;
    }
  }

  /** Chunks of a native read. */
  private static final class Chunks
      implements lakeflow.connect.arrow.ChunkInputStream.Chunks {

    private final NativeReader reader;
    private int delivered;

    private Chunks(NativeReader reader) {
      this.reader = reader;
    }

    @Override
    public byte[] next() {
      byte[] chunk = reader.next();
      delivered++;
      // The first chunk is the schema.
      if (chunk != null && delivered == 2) {
        FailPoint.reach("page_fetched");
      }

      return chunk;
    }
  }
}
