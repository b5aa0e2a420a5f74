package lakeflow.connect.spark;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.bridge.Wanted;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.connector.metric.CustomMetric;
import org.apache.spark.sql.connector.metric.CustomTaskMetric;
import org.apache.spark.sql.connector.read.Batch;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.streaming.MicroBatchStream;
import org.apache.spark.sql.types.StructType;

/** A read of some columns of a table. */
final class LakeflowScan implements Scan {

  private final TableDescription description;
  private final ReadOptions options;
  private final StructType table;
  private final StructType schema;
  private final Integer limit;
  private final PushedPredicates predicates;
  private LakeflowBatch batch;
  private LakeflowMicroBatchStream stream;

  LakeflowScan(
      TableDescription description,
      ReadOptions options,
      StructType table,
      StructType schema,
      Integer limit,
      PushedPredicates predicates) {
    this.description = description;
    this.options = options;
    this.table = table;
    this.schema = schema;
    this.limit = limit;
    this.predicates = predicates;
  }

  @Override
  public StructType readSchema() {
    return schema;
  }

  @Override
  public String description() {
    return "lakeflow_connect " + description.name()
        + ", PushedFilters: " + Arrays.toString(predicates.predicates())
        + ", PushedLimit: " + (limit == null ? "none" : limit);
  }

  @Override
  public synchronized Batch toBatch() {
    if (options.flag(ReadOptions.READ_CHANGE_FEED, false)) {
      throw LakeflowException.unsupported(
          "option '" + ReadOptions.READ_CHANGE_FEED + "' is for streams; a batch reads the rows of "
              + description.name() + " without it, and the deletes with isDeleteFlow=true");
    }

    List<String> columns = LakeflowBatch.columns(table, schema);
    batch =
        new LakeflowBatch(options, new Wanted(columns, limit, predicates.conditions()), schema);
    return batch;
  }

  @Override
  public synchronized MicroBatchStream toMicroBatchStream(String checkpointLocation) {
    stream = LakeflowMicroBatchStream.open(description, options, schema, checkpointLocation);
    return stream;
  }

  @Override
  public ColumnarSupportMode columnarSupportMode() {
    return ColumnarSupportMode.SUPPORTED;
  }

  @Override
  public CustomMetric[] supportedCustomMetrics() {
    return ScanMetrics.all();
  }

  // The driver requests the rows of a stream, between the executions that read them, and where a
  // batch begins.
  @Override
  public synchronized CustomTaskMetric[] reportDriverMetrics() {
    Map<String, Long> counters = Map.of();
    if (stream != null) {
      counters = stream.newCounts();
    } else if (batch != null) {
      counters = batch.planned();
    }

    return ScanMetrics.counted(counters).toArray(CustomTaskMetric[]::new);
  }

  @Override
  public String toString() {
    return description();
  }
}
