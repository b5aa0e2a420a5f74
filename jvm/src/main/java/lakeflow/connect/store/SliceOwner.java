package lakeflow.connect.store;

import com.fasterxml.jackson.databind.node.ObjectNode;
import lakeflow.connect.bridge.Json;

/**
 * The stream that a slice store belongs to.
 *
 * @param source id of the source
 * @param table name of the table
 * @param stream what tells this stream from others of the table
 */
public record SliceOwner(String source, String table, String stream) {

  /** The stream of a door that knows no checkpoint, as that of Python: any stream of the table. */
  private static final String ANY = "any";

  /** Whether a store that {@code marked} marked may be used by this stream. */
  boolean mayUse(SliceOwner marked) {
    return marked != null
        && source.equals(marked.source)
        && table.equals(marked.table)
        && (stream.equals(marked.stream) || ANY.equals(marked.stream));
  }

  static SliceOwner of(ObjectNode json) {
    return json == null
        ? null
        : new SliceOwner(
            Json.text(json, "source"), Json.text(json, "table"), Json.text(json, "stream"));
  }

  ObjectNode toJson() {
    return Json.object().put("source", source).put("table", table).put("stream", stream);
  }

  @Override
  public String toString() {
    return (ANY.equals(stream) ? "a stream" : "stream " + stream) + " of " + source + "." + table;
  }
}
