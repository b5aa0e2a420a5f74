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
    return "stream " + stream + " of " + source + "." + table;
  }
}
