package lakeflow.connect.store;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import lakeflow.connect.bridge.Json;

/**
 * What the end of a slice file says of it.
 *
 * @param start text of the offset that the slice begins at
 * @param schemaJson columns of its rows, in Spark's JSON form
 * @param rows rows of all batches
 * @param bytes length of the file up to the footer
 * @param schema the chunk with the Arrow schema
 * @param batches the chunks with one record batch each
 */
public record SliceFooter(
    String start, String schemaJson, long rows, long bytes, Chunk schema, List<Chunk> batches) {

  private static final int VERSION = 1;

  byte[] toBytes() {
    ObjectNode json =
        Json.object()
            .put("v", VERSION)
            .put("start", start)
            .put("schema", schemaJson)
            .put("rows", rows)
            .put("bytes", bytes);
    ArrayNode chunks = json.putArray("chunks");
    write(chunks, schema);
    batches.forEach(batch -> write(chunks, batch));

    return Json.bytes(json);
  }

  /** The footer that {@code bytes} hold; null if they hold none that fits the file. */
  static SliceFooter parse(byte[] bytes, long dataLength) {
    ObjectNode json = Json.parse(bytes);
    if (json == null
        || json.path("v").asInt() != VERSION
        || json.path("bytes").asLong(-1) != dataLength
        || json.path("chunks").isEmpty()) {
      return null;
    }

    List<Chunk> chunks = new ArrayList<>();
    json.path("chunks").forEach(chunk -> chunks.add(read(chunk)));
    return new SliceFooter(
        json.path("start").asText(),
        json.path("schema").asText(),
        json.path("rows").asLong(),
        dataLength,
        chunks.get(0),
        List.copyOf(chunks.subList(1, chunks.size())));
  }

  private static void write(ArrayNode chunks, Chunk chunk) {
    chunks
        .addArray()
        .add(chunk.offset())
        .add(chunk.length())
        .add(chunk.rows())
        .add(chunk.checksum());
  }

  private static Chunk read(JsonNode chunk) {
    return new Chunk(
        chunk.path(0).asLong(),
        chunk.path(1).asInt(),
        chunk.path(2).asLong(),
        chunk.path(3).asLong());
  }
}
