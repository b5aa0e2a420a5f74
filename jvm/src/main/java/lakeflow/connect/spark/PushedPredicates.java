package lakeflow.connect.spark;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.bridge.Wanted;
import org.apache.spark.sql.connector.expressions.Expression;
import org.apache.spark.sql.connector.expressions.Literal;
import org.apache.spark.sql.connector.expressions.NamedReference;
import org.apache.spark.sql.connector.expressions.filter.Predicate;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.TimestampType;

/**
 * The predicates of a query that let a source send fewer rows: bounds of the column it reads by, and
 * equality with a value that it filters by.
 */
final class PushedPredicates {

  private static final Map<String, String> COMPARISONS =
      Map.of(">=", "at_least", ">", "at_least", "<=", "at_most", "<", "at_most", "=", "equal");

  private final TableDescription table;
  private final List<Predicate> predicates = new ArrayList<>();
  private final List<Wanted.Condition> conditions = new ArrayList<>();

  PushedPredicates(TableDescription table) {
    this.table = table;
  }

  /** Takes what it can use. */
  void add(Predicate[] all) {
    for (Predicate predicate : all) {
      Wanted.Condition condition = condition(predicate);
      if (condition != null) {
        predicates.add(predicate);
        conditions.add(condition);
      }
    }
  }

  Predicate[] predicates() {
    return predicates.toArray(Predicate[]::new);
  }

  List<Wanted.Condition> conditions() {
    return conditions;
  }

  private Wanted.Condition condition(Predicate predicate) {
    String comparison = COMPARISONS.get(predicate.name());
    Expression[] sides = predicate.children();
    if (comparison == null
        || sides.length != 2
        || !(sides[0] instanceof NamedReference field)
        || !(sides[1] instanceof Literal<?> literal)
        || field.fieldNames().length != 1
        || literal.value() == null) {
      return null;
    }

    String column = field.fieldNames()[0];
    if (predicate.name().equals("=") && filters(column, literal)) {
      return new Wanted.Condition(column, comparison, literal.value().toString());
    }

    if (!column.equals(table.orderingColumn())) {
      return null;
    }

    if (literal.dataType() instanceof TimestampType && literal.value() instanceof Long micros) {
      Instant instant = Instant.EPOCH.plus(micros, ChronoUnit.MICROS);
      return new Wanted.Condition(column, comparison, instant.toString());
    }

    return literal.dataType() instanceof StringType
        ? new Wanted.Condition(column, comparison, literal.value().toString())
        : null;
  }

  private boolean filters(String column, Literal<?> literal) {
    return literal.dataType() instanceof StringType
        && table.filters().getOrDefault(column, Set.of()).contains(literal.value().toString());
  }
}
