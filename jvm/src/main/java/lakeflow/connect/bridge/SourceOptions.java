package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Set;
import java.util.TreeSet;

/** Names of the options that a source takes, in any case. */
public final class SourceOptions {

  private final Set<String> secrets = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
  private final Set<String> others = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);

  private SourceOptions(ObjectNode json) {
    json.path("secrets").forEach(name -> secrets.add(name.asText()));
    json.path("others").forEach(name -> others.add(name.asText()));
  }

  /** Those of {@code source}. */
  public static SourceOptions of(String source) {
    NativeLibrary.load();
    return new SourceOptions(
        NativeCalls.call(NativeCalls.operation("options").put("source", source)));
  }

  /** Whether the source takes the option. */
  public boolean declares(String name) {
    return isSecret(name) || others.contains(name);
  }

  /** Whether the option holds a credential. */
  public boolean isSecret(String name) {
    return secrets.contains(name);
  }
}
