package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import lakeflow.connect.options.ReadOptions;

/**
 * What the source says of a table.
 *
 * @param source id of the source
 * @param table name of the table
 * @param schemaJson its columns, in Spark's JSON form
 * @param comment one sentence for people
 * @param orderingColumn the column that the source can bound reads by; null if there is none
 * @param filters columns that the source can filter by, with the values that it knows of each
 * @param properties ingestion type, primary keys, cursor and whether it can be streamed, as text
 */
public record TableDescription(
    String source,
    String table,
    String schemaJson,
    String comment,
    String orderingColumn,
    Map<String, Set<String>> filters,
    Map<String, String> properties) {

  private static final List<String> PROPERTIES =
      List.of("ingestion_type", "primary_keys", "cursor_field", "streamable");

  /** {@code <source>.<table>}. */
  public String name() {
    return source + "." + table;
  }

  /** Asks the source. */
  public static TableDescription fetch(ReadOptions options) {
    return of(NativeReader.answer(NativeReader.request("describe", options)));
  }

  /** As {@link #fetch}, where options that the table requires may be missing. */
  public static TableDescription outline(ReadOptions options) {
    return of(NativeReader.answer(NativeReader.request("describe", options).put("outline", true)));
  }

  private static TableDescription of(ObjectNode json) {
    Map<String, String> properties = new LinkedHashMap<>();
    for (String name : PROPERTIES) {
      if (json.hasNonNull(name)) {
        boolean text = json.path(name).isTextual();
        properties.put(name, text ? json.path(name).asText() : json.path(name).toString());
      }
    }

    return new TableDescription(
        Json.text(json, "source"),
        Json.text(json, "table"),
        json.path("schema").toString(),
        Json.text(json, "comment"),
        Json.text(json, "ordering_column"),
        filters(json),
        properties);
  }

  private static Map<String, Set<String>> filters(ObjectNode json) {
    JsonNode filters = json.path("filters");
    Map<String, Set<String>> byColumn = new LinkedHashMap<>();
    for (Iterator<String> columns = filters.fieldNames(); columns.hasNext(); ) {
      String column = columns.next();
      Set<String> values = new LinkedHashSet<>();
      filters.path(column).forEach(value -> values.add(value.asText()));
      byColumn.put(column, values);
    }

    return byColumn;
  }
}
