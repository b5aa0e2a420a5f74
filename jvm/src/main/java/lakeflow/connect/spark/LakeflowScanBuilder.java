package lakeflow.connect.spark;

import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.connector.expressions.filter.Predicate;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.SupportsPushDownLimit;
import org.apache.spark.sql.connector.read.SupportsPushDownRequiredColumns;
import org.apache.spark.sql.connector.read.SupportsPushDownV2Filters;
import org.apache.spark.sql.types.StructType;

/**
 * Takes what a query needs: columns, a limit, and predicates by which the service can leave rows
 * out. Spark checks predicates and limit again.
 */
final class LakeflowScanBuilder
    implements SupportsPushDownRequiredColumns, SupportsPushDownV2Filters, SupportsPushDownLimit {

  private final TableDescription description;
  private final ReadOptions options;
  private final StructType table;
  private final PushedPredicates predicates;
  private StructType schema;
  private Integer limit;

  LakeflowScanBuilder(TableDescription description, ReadOptions options, StructType schema) {
    this.description = description;
    this.options = options;
    this.table = schema;
    this.schema = schema;
    this.predicates = new PushedPredicates(description);
  }

  @Override
  public void pruneColumns(StructType required) {
    this.schema = required;
  }

  @Override
  public Predicate[] pushPredicates(Predicate[] all) {
    predicates.add(all);
    return all;
  }

  @Override
  public Predicate[] pushedPredicates() {
    return predicates.predicates();
  }

  @Override
  public boolean pushLimit(int rows) {
    limit = rows;
    return true;
  }

  @Override
  public Scan build() {
    return new LakeflowScan(description, options, table, schema, limit, predicates);
  }
}
