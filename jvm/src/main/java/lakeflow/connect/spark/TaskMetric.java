package lakeflow.connect.spark;

import org.apache.spark.sql.connector.metric.CustomTaskMetric;

/** One value of a metric. */
record TaskMetric(String name, long value) implements CustomTaskMetric {}
