package lakeflow.connect.spark;

import lakeflow.connect.store.StreamOffset;
import org.apache.spark.sql.connector.read.streaming.Offset;

/** An offset as Spark logs and compares it: by its text. */
final class LakeflowOffset extends Offset {

  private final StreamOffset value;

  LakeflowOffset(StreamOffset value) {
    this.value = value;
  }

  StreamOffset value() {
    return value;
  }

  @Override
  public String json() {
    return value.text();
  }
}
