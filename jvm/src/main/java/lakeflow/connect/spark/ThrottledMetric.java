package lakeflow.connect.spark;

/** Milliseconds waited because the service asked for it or its limits were used up. */
public final class ThrottledMetric extends ScanMetric {

  /** Called by Spark. */
  public ThrottledMetric() {
    super("throttled_ms", "API throttling (ms)");
  }
}
