package lakeflow.connect.spark;

import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.SupportsPushDownRequiredColumns;
import org.apache.spark.sql.types.StructType;

/** Takes the columns that a query needs. */
final class LakeflowScanBuilder implements SupportsPushDownRequiredColumns {

  private final TableDescription description;
  private final ReadOptions options;
  private final StructType table;
  private StructType schema;

  LakeflowScanBuilder(TableDescription description, ReadOptions options, StructType schema) {
    this.description = description;
    this.options = options;
    this.table = schema;
    this.schema = schema;
  }

  @Override
  public void pruneColumns(StructType required) {
    this.schema = required;
  }

  @Override
  public Scan build() {
    return new LakeflowScan(description, options, table, schema);
  }
}
