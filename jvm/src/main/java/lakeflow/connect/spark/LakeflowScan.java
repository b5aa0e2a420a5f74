package lakeflow.connect.spark;

import java.util.Arrays;
import java.util.List;
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
  public Batch toBatch() {
    if (options.flag(ReadOptions.READ_CHANGE_FEED, false)) {
      throw LakeflowException.unsupported(
          "option '" + ReadOptions.READ_CHANGE_FEED + "' is for streams; a batch reads the rows of "
              + description.name() + " without it, and the deletes with isDeleteFlow=true");
    }

    List<String> columns = LakeflowBatch.columns(table, schema);
    return new LakeflowBatch(
        options, new Wanted(columns, limit, predicates.conditions()), schema);
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

  // The rows of a stream are requested on the driver, between the executions that read them.
  @Override
  public synchronized CustomTaskMetric[] reportDriverMetrics() {
    return stream == null
        ? new CustomTaskMetric[0]
        : ScanMetrics.counted(stream.newCounts()).toArray(CustomTaskMetric[]::new);
  }

  @Override
  public String toString() {
    return description();
  }
}
