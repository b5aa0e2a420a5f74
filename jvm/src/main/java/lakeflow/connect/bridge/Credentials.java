package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collection;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import lakeflow.connect.options.ReadOptions;

/** Named connections and references to secrets. */
public final class Credentials {

  private Credentials() {}

  /** A configuration that others can see. */
  public enum Configuration {
    /** The session's. What the source does not declare there is left out. */
    SESSION,
    /** A catalog's. */
    CATALOG
  }

  /**
   * The options to read with, in which connections and references have given way to what they stand
   * for. Only the driver can do this: its environment says what there is and where it may go.
   *
   * @param configured names of the options that come from {@code place}
   * @throws lakeflow.connect.errors.LakeflowException for one that leads nowhere or is not allowed
   */
  public static ReadOptions resolve(
      ReadOptions options, Collection<String> configured, Configuration place) {
    NativeLibrary.load();
    ObjectNode request = NativeCalls.operation("resolve");
    options.forEach(request.putObject("options")::put);
    configured.forEach(request.putArray("configured")::add);
    request.put("place", place.name().toLowerCase(Locale.ROOT));
    JsonNode answer = NativeCalls.call(request).path("options");
    Map<String, String> resolved = new TreeMap<>();
    answer.fieldNames().forEachRemaining(name -> resolved.put(name, Json.text(answer, name)));

    return new ReadOptions(resolved);
  }
}
