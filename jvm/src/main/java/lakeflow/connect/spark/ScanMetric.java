package lakeflow.connect.spark;

import org.apache.spark.sql.connector.metric.CustomSumMetric;
import org.apache.spark.sql.connector.metric.CustomTaskMetric;

/** A sum over tasks and the driver. Spark makes instances by the name of their class. */
abstract class ScanMetric extends CustomSumMetric {

  private final String name;
  private final String description;

  /** A metric whose {@code name} is that of the engine's counter, if it has one. */
  ScanMetric(String name, String description) {
    this.name = name;
    this.description = description;
  }

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final String description() {
    return description;
  }

  /** What one task, or the driver, adds to the sum. */
  final CustomTaskMetric value(long count) {
    return new TaskMetric(name, count);
  }

  private record TaskMetric(String name, long value) implements CustomTaskMetric {}
}
