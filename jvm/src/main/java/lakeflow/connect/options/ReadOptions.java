package lakeflow.connect.options;

import com.fasterxml.jackson.annotation.JsonValue;
import java.io.Serializable;
import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import lakeflow.connect.errors.LakeflowException;

/**
 * Options as the user gave them: names in any case, spelling kept. Shows source and table only,
 * in text and as JSON, since values may be credentials.
 */
public final class ReadOptions implements Serializable {

  /** Option that names the source. */
  public static final String SOURCE_NAME = "sourceName";

  /** Option that names the table. */
  public static final String TABLE_NAME = "tableName";

  /** Option that asks a question in the place of a table. */
  public static final String OPERATION = "operation";

  /** Option that moves the slice store out of the checkpoint. */
  public static final String SLICE_STORE = "sliceStore";

  /** Option that says whether a slice that is gone ends the stream. */
  public static final String FAIL_ON_DATA_LOSS = "failOnDataLoss";

  /** Option that asks for upserts and deletes in one stream. */
  public static final String READ_CHANGE_FEED = "readChangeFeed";

  private static final long serialVersionUID = 1L;

  private final TreeMap<String, String> values = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);

  /** Takes the options over; of names that differ by case only, the last one stays. */
  public ReadOptions(Map<String, String> options) {
    options.forEach(this::put);
  }

  /** These options with {@code others} in their place where both name one. */
  public ReadOptions overlaidBy(Map<String, String> others) {
    ReadOptions both = new ReadOptions(values);
    others.forEach(both::put);
    return both;
  }

  /** These options and one more, which replaces one of the same name. */
  public ReadOptions with(String name, String value) {
    return overlaidBy(Map.of(name, value));
  }

  /** Names as they were given. */
  public Set<String> names() {
    return Collections.unmodifiableSet(values.keySet());
  }

  /** The value of {@code name}; null if it is not given. */
  public String get(String name) {
    return values.get(name);
  }

  /** The value of a yes-or-no option. */
  public boolean flag(String name, boolean otherwise) {
    String value = values.get(name);
    if (value == null || value.isBlank()) {
      return otherwise;
    }

    return switch (value.trim().toLowerCase(Locale.ROOT)) {
      case "true" -> true;
      case "false" -> false;
      default ->
          throw LakeflowException.configInvalid(
              "option '" + name + "' must be true or false, got \"" + excerpt(value) + "\"");
    };
  }

  /** Gives every name and value to {@code action}. */
  public void forEach(BiConsumer<String, String> action) {
    values.forEach(action);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ReadOptions options && values.equals(options.values);
  }

  @Override
  public int hashCode() {
    return values.hashCode();
  }

  /** {@code <source>.<table>}. */
  @Override
  @JsonValue
  public String toString() {
    return shown(SOURCE_NAME) + "." + shown(TABLE_NAME);
  }

  private void put(String name, String value) {
    values.remove(name);
    values.put(name, value);
  }

  private String shown(String name) {
    String value = values.get(name);
    return value == null ? "?" : excerpt(value);
  }

  private static String excerpt(String value) {
    int end = value.offsetByCodePoints(0, Math.min(80, value.codePointCount(0, value.length())));
    return value.substring(0, end);
  }
}
