package lakeflow.connect.spark;

import org.apache.spark.sql.connector.metric.CustomSumMetric;
import org.apache.spark.sql.connector.metric.CustomTaskMetric;

/** Records delivered to Spark. Spark makes instances by reflection. */
public final class RecordsMetric extends CustomSumMetric {

  private static final String NAME = "records";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public String description() {
    return "records";
  }

  static CustomTaskMetric value(long count) {
    return new TaskMetric(NAME, count);
  }
}
