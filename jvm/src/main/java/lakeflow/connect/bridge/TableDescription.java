package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.node.ObjectNode;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;

/**
 * What the source says of a table.
 *
 * @param source id of the source
 * @param table name of the table
 * @param schemaJson its columns, in Spark's JSON form
 */
public record TableDescription(String source, String table, String schemaJson) {

  /** {@code <source>.<table>}. */
  public String name() {
    return source + "." + table;
  }

  /** Asks the source. */
  public static TableDescription fetch(ReadOptions options) {
    try (NativeReader reader = NativeReader.describe(options)) {
      byte[] chunk = reader.next();
      ObjectNode json = chunk == null ? null : Json.parse(chunk);
      if (json == null) {
        throw LakeflowException.internal("the native library gave no table description");
      }

      return new TableDescription(
          Json.text(json, "source"), Json.text(json, "table"), json.path("schema").toString());
    }
  }
}
