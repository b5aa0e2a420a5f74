package lakeflow.connect.spark;

import java.util.HashMap;
import java.util.Map;
import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.connector.catalog.SessionConfigSupport;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.TableProvider;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.sources.DataSourceRegister;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** The format {@code lakeflow_connect}: a table of a source, read in batches or as a stream. */
public final class LakeflowTableProvider
    implements TableProvider, DataSourceRegister, SessionConfigSupport {

  static final String NAME = "lakeflow_connect";

  private ReadOptions describedBy;
  private TableDescription description;

  @Override
  public String shortName() {
    return NAME;
  }

  @Override
  public String keyPrefix() {
    return NAME;
  }

  @Override
  public boolean supportsExternalMetadata() {
    return true;
  }

  @Override
  public StructType inferSchema(CaseInsensitiveStringMap options) {
    return Schemas.parse(describe(optionsAmong(options.asCaseSensitiveMap())));
  }

  @Override
  public Table getTable(StructType schema, Transform[] partitioning, Map<String, String> options) {
    ReadOptions given = optionsAmong(options);
    TableDescription found = describe(given);
    Schemas.requireReadable(found, schema);

    return new LakeflowTable(found, given, schema);
  }

  /**
   * The options among what Spark gives: for a table that is being created all of its properties,
   * in which options have a prefix.
   */
  private static ReadOptions optionsAmong(Map<String, String> given) {
    Map<String, String> options = new HashMap<>();
    given.forEach(
        (name, value) -> {
          if (name.startsWith(TableCatalog.OPTION_PREFIX)) {
            options.put(name.substring(TableCatalog.OPTION_PREFIX.length()), value);
          }
        });

    return new ReadOptions(options.isEmpty() ? given : options);
  }

  /** Spark asks for the schema and then for the table: one request serves both. */
  private synchronized TableDescription describe(ReadOptions options) {
    if (description == null || !options.equals(describedBy)) {
      description = TableDescription.fetch(DriverOptions.resolve(options));
      describedBy = options;
    }

    return description;
  }
}
