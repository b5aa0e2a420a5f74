package lakeflow.connect.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.Test;

class LakeflowBatchTest {

  @Test
  void columnsAreThoseRequiredAndOneOfTheTableIfNoneAre() {
    StructType table = StructType.fromDDL("id bigint, name string, at timestamp");

    assertEquals(
        List.of("at", "id"),
        LakeflowBatch.columns(table, StructType.fromDDL("at timestamp, id bigint")));
    assertEquals(List.of("id"), LakeflowBatch.columns(table, new StructType()));
  }
}
