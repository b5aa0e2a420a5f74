package lakeflow.connect.spark;

import lakeflow.connect.bridge.TableDescription;
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
  private LakeflowMicroBatchStream stream;

  LakeflowScan(
      TableDescription description, ReadOptions options, StructType table, StructType schema) {
    this.description = description;
    this.options = options;
    this.table = table;
    this.schema = schema;
  }

  @Override
  public StructType readSchema() {
    return schema;
  }

  @Override
  public String description() {
    return "lakeflow_connect " + description.name();
  }

  @Override
  public Batch toBatch() {
    return new LakeflowBatch(options, LakeflowBatch.columns(table, schema), schema);
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
    return new CustomMetric[] {new RequestsMetric(), new RecordsMetric()};
  }

  // The rows of a stream are requested on the driver, between the executions that read them.
  @Override
  public synchronized CustomTaskMetric[] reportDriverMetrics() {
    return stream == null
        ? new CustomTaskMetric[0]
        : new CustomTaskMetric[] {RequestsMetric.value(stream.newRequests())};
  }

  @Override
  public String toString() {
    return description();
  }
}
