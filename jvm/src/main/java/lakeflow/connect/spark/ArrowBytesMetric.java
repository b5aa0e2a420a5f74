package lakeflow.connect.spark;

/** Uncompressed Arrow bytes delivered to Spark, schemas included. */
public final class ArrowBytesMetric extends ScanMetric {

  /** Called by Spark. */
  public ArrowBytesMetric() {
    super("arrow_bytes", "Arrow bytes");
  }
}
