package lakeflow.connect.spark;

/** Records delivered to Spark. */
public final class RecordsMetric extends ScanMetric {

  /** Called by Spark. */
  public RecordsMetric() {
    super("records", "records");
  }
}
