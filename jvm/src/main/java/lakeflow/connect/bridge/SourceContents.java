package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import lakeflow.connect.options.ReadOptions;

/**
 * What lies directly in a namespace of a source.
 *
 * @param namespaced whether the source has namespaces
 * @param namespaces whole paths, sorted
 * @param tables names, sorted
 */
public record SourceContents(
    boolean namespaced, List<List<String>> namespaces, List<String> tables) {

  /** Asks the source; no names stand for its root. */
  public static SourceContents fetch(ReadOptions options, String... namespace) {
    ObjectNode request = NativeReader.request("contents", options);
    List.of(namespace).forEach(request.putArray("namespace")::add);
    ObjectNode json = NativeReader.answer(request);
    List<List<String>> namespaces = new ArrayList<>();
    json.path("namespaces").forEach(path -> namespaces.add(texts(path)));

    return new SourceContents(
        json.hasNonNull("namespaces"), List.copyOf(namespaces), texts(json.path("tables")));
  }

  private static List<String> texts(JsonNode array) {
    List<String> texts = new ArrayList<>();
    array.forEach(text -> texts.add(text.asText()));
    return List.copyOf(texts);
  }
}
