package lakeflow.connect.spark;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import lakeflow.connect.bridge.Wanted;
import org.apache.spark.sql.connector.expressions.Expression;
import org.apache.spark.sql.connector.expressions.Literal;
import org.apache.spark.sql.connector.expressions.NamedReference;
import org.apache.spark.sql.connector.expressions.filter.Predicate;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.TimestampType;

/** The predicates of a query that let a source send fewer rows: bounds of the column it reads by. */
final class PushedPredicates {

  private static final Map<String, String> COMPARISONS =
      Map.of(">=", "at_least", ">", "at_least", "<=", "at_most", "<", "at_most", "=", "equal");

  private final String column;
  private final List<Predicate> predicates = new ArrayList<>();
  private final List<Wanted.Condition> conditions = new ArrayList<>();

  /** Bounds of {@code column}; null where the source reads by no column. */
  PushedPredicates(String column) {
    this.column = column;
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
        || !field.fieldNames()[0].equals(column)
        || literal.value() == null) {
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
}
