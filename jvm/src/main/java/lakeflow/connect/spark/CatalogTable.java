package lakeflow.connect.spark;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.connector.catalog.SupportsRead;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.read.ScanBuilder;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** A table of a catalog: shown before its options are complete, read with those of the query. */
final class CatalogTable implements SupportsRead {

  private static final List<String> GIVEN_BY_NAME =
      List.of(ReadOptions.SOURCE_NAME, ReadOptions.TABLE_NAME, ReadOptions.OPERATION);

  private final String name;
  private final TableDescription outline;
  private final ReadOptions configured;
  private final String tableName;
  private final StructType schema;

  /**
   * @param configured options of the catalog, unresolved
   * @param tableName the name by which the source knows the table
   */
  CatalogTable(
      String name, TableDescription outline, ReadOptions configured, String tableName) {
    this.name = name;
    this.outline = outline;
    this.configured = configured;
    this.tableName = tableName;
    this.schema = Schemas.parse(outline);
  }

  @Override
  public String name() {
    return name;
  }

  // Newer versions of Spark offer columns(); 3.5 calls this one.
  @SuppressWarnings("deprecation")
  @Override
  public StructType schema() {
    return schema;
  }

  @Override
  public Map<String, String> properties() {
    Map<String, String> properties = new TreeMap<>(outline.properties());
    properties.put(TableCatalog.PROP_PROVIDER, LakeflowTableProvider.NAME);
    properties.put(TableCatalog.PROP_COMMENT, outline.comment());
    return properties;
  }

  @Override
  public Set<TableCapability> capabilities() {
    return LakeflowTable.CAPABILITIES;
  }

  @Override
  public ScanBuilder newScanBuilder(CaseInsensitiveStringMap scanOptions) {
    try {
      return checkedScanBuilder(scanOptions);
    } catch (LakeflowException e) {
      return () -> new UnreadableScan(schema, e);
    }
  }

  @Override
  public String toString() {
    return name;
  }

  private ScanBuilder checkedScanBuilder(CaseInsensitiveStringMap scanOptions) {
    for (String option : GIVEN_BY_NAME) {
      if (scanOptions.containsKey(option)) {
        throw LakeflowException.configInvalid(
            "option '" + option + "' cannot be given to table " + name
                + ": its name says what is read; leave it out");
      }
    }

    List<String> inherited =
        configured.names().stream().filter(option -> !scanOptions.containsKey(option)).toList();
    ReadOptions given =
        configured
            .overlaidBy(scanOptions.asCaseSensitiveMap())
            .with(ReadOptions.TABLE_NAME, tableName);
    ReadOptions all = DriverOptions.resolve(given, inherited);
    TableDescription found = TableDescription.fetch(all);
    if (!Schemas.parse(found).equals(schema)) {
      throw LakeflowException.configInvalid(
          "the options given with table " + name + " change its columns; give them to the catalog,"
              + " or read the table with spark.read.format(\"lakeflow_connect\")");
    }

    return new LakeflowScanBuilder(found, all, schema);
  }
}
