package lakeflow.connect.spark;

import org.apache.spark.sql.connector.metric.CustomSumMetric;
import org.apache.spark.sql.connector.metric.CustomTaskMetric;

/** Requests sent to the service, retries included. Spark makes instances by reflection. */
public final class RequestsMetric extends CustomSumMetric {

  private static final String NAME = "requests";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public String description() {
    return "API requests";
  }

  static CustomTaskMetric value(long count) {
    return new TaskMetric(NAME, count);
  }
}
