package lakeflow.connect.spark;

/** Values that did not fit their column and were made null. */
public final class NulledMetric extends ScanMetric {

  /** Called by Spark. */
  public NulledMetric() {
    super("nulled", "values made null");
  }
}
