package lakeflow.connect.spark;

/** Requests sent to the service, retries included. */
public final class RequestsMetric extends ScanMetric {

  /** Called by Spark. */
  public RequestsMetric() {
    super("requests", "API requests");
  }
}
