package lakeflow.connect.store;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import lakeflow.connect.bridge.Json;
import lakeflow.connect.errors.LakeflowException;

/**
 * An offset: canonical JSON text made by the engine, compared as text.
 *
 * @param text the text
 * @param slice id of the slice that ends here; null if none does
 * @param state name of the state that belongs to it; null for none
 * @param bySplit whether tasks read what ends here, so that nothing of it is stored
 */
public record StreamOffset(String text, String slice, String state, boolean bySplit) {

  /** The offset before all rows. */
  public static final StreamOffset BEGINNING = new StreamOffset("{}");

  /** Reads the text, the engine's own or an older one of a checkpoint. */
  public StreamOffset(String text) {
    this(text, parse(text));
  }

  private StreamOffset(String text, ObjectNode json) {
    this(
        text,
        Json.text(json, "slice"),
        Json.text(json, "state"),
        json.path("by_split").asBoolean());
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof StreamOffset offset && text.equals(offset.text);
  }

  @Override
  public int hashCode() {
    return text.hashCode();
  }

  @Override
  public String toString() {
    return text;
  }

  private static ObjectNode parse(String text) {
    ObjectNode json = Json.parse(text.getBytes(StandardCharsets.UTF_8));
    if (json == null) {
      throw LakeflowException.offsetInvalid("the offset is no JSON object");
    }

    return json;
  }
}
