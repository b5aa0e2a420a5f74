package lakeflow.connect.spark;

import java.util.Set;
import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.connector.catalog.SupportsRead;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.read.ScanBuilder;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** A table of a source. */
final class LakeflowTable implements SupportsRead {

  static final Set<TableCapability> CAPABILITIES =
      Set.of(TableCapability.BATCH_READ, TableCapability.MICRO_BATCH_READ);

  private final TableDescription description;
  private final ReadOptions options;
  private final StructType schema;

  LakeflowTable(TableDescription description, ReadOptions options, StructType schema) {
    this.description = description;
    this.options = options;
    this.schema = schema;
  }

  @Override
  public String name() {
    return description.name();
  }

  // Newer versions of Spark offer columns(); 3.5 calls this one.
  @SuppressWarnings("deprecation")
  @Override
  public StructType schema() {
    return schema;
  }

  @Override
  public Set<TableCapability> capabilities() {
    return CAPABILITIES;
  }

  @Override
  public ScanBuilder newScanBuilder(CaseInsensitiveStringMap scanOptions) {
    ReadOptions given = options.overlaidBy(scanOptions.asCaseSensitiveMap());
    return new LakeflowScanBuilder(description, DriverOptions.resolve(given), schema);
  }

  @Override
  public String toString() {
    return name();
  }
}
