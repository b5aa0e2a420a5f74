package lakeflow.connect.spark;

import lakeflow.connect.errors.LakeflowException;
import org.apache.spark.sql.connector.read.Batch;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.streaming.MicroBatchStream;
import org.apache.spark.sql.types.StructType;

/** A scan that says why it cannot be read once that is planned; Spark makes one to describe it. */
record UnreadableScan(StructType readSchema, LakeflowException reason) implements Scan {

  @Override
  public Batch toBatch() {
    throw reason;
  }

  @Override
  public MicroBatchStream toMicroBatchStream(String checkpointLocation) {
    throw reason;
  }
}
