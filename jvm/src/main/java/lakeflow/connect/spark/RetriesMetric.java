package lakeflow.connect.spark;

/** Requests that repeated a failed one. */
public final class RetriesMetric extends ScanMetric {

  /** Called by Spark. */
  public RetriesMetric() {
    super("retries", "API retries");
  }
}
