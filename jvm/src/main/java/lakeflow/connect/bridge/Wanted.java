package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.Serializable;
import java.util.List;

/**
 * What a batch read wants of a table. The service may send more rows, never fewer.
 *
 * @param columns columns in order; null for all
 * @param limit rows that are enough; null for all
 * @param conditions what rows must fulfil, which the reader checks again
 */
public record Wanted(List<String> columns, Integer limit, List<Condition> conditions)
    implements Serializable {

  /** Everything. */
  public static final Wanted ALL = new Wanted(null, null, List.of());

  /** Takes lists over as they are now. */
  public Wanted {
    columns = columns == null ? null : List.copyOf(columns);
    conditions = List.copyOf(conditions);
  }

  /** Every row, these columns of it. */
  public static Wanted columns(List<String> columns) {
    return new Wanted(columns, null, List.of());
  }

  /**
   * A column compared with a value.
   *
   * @param column its name
   * @param comparison {@code at_least}, {@code at_most} or {@code equal}
   * @param value an instant in ISO 8601, or text
   */
  public record Condition(String column, String comparison, String value)
      implements Serializable {}

  void writeTo(ObjectNode request) {
    if (columns == null) {
      request.putNull("columns");
    } else {
      columns.forEach(request.putArray("columns")::add);
    }
    request.put("limit", limit);
    ArrayNode filters = request.putArray("filters");
    for (Condition condition : conditions) {
      filters
          .addObject()
          .put("column", condition.column())
          .put("comparison", condition.comparison())
          .put("value", condition.value());
    }
  }
}
