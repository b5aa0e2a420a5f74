package lakeflow.connect.spark;

import java.util.List;
import java.util.Map;
import org.apache.spark.sql.connector.metric.CustomMetric;
import org.apache.spark.sql.connector.metric.CustomTaskMetric;

/** What Spark's UI shows at a scan. */
final class ScanMetrics {

  /** Those that native code counts where it asks the service: in a task, or on the driver. */
  private static final List<ScanMetric> COUNTED =
      List.of(new RequestsMetric(), new RetriesMetric(), new ThrottledMetric(), new NulledMetric());

  private ScanMetrics() {}

  /** All of them. */
  static CustomMetric[] all() {
    return new CustomMetric[] {
      new RecordsMetric(),
      new ArrowBytesMetric(),
      new RequestsMetric(),
      new RetriesMetric(),
      new ThrottledMetric(),
      new NulledMetric()
    };
  }

  /** Values of native counters. */
  static List<CustomTaskMetric> counted(Map<String, Long> counters) {
    return COUNTED.stream()
        .map(metric -> metric.value(counters.getOrDefault(metric.name(), 0L)))
        .toList();
  }
}
