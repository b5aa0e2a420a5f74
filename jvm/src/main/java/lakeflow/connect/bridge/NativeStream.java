package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.Closeable;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;

/** A stream of a table in native code; slices of it are read one after the other. */
public final class NativeStream implements Closeable {

  private final NativeReader reader;
  private final long defaultLimit;

  private NativeStream(NativeReader reader) {
    this.reader = reader;
    this.defaultLimit = limit(reader.ask("stream"));
  }

  /**
   * Opens a stream and waits for it.
   *
   * @throws LakeflowException if the table cannot be streamed
   */
  public static NativeStream open(ReadOptions options) {
    NativeReader reader = NativeReader.stream(options);
    try {
      if (reader.next() != null) {
        throw LakeflowException.internal("the native library gave rows for a stream");
      }

      return new NativeStream(reader);
    } catch (RuntimeException e) {
      reader.close();
      throw e;
    }
  }

  /** Records of a slice unless another number is asked for. */
  public long defaultLimit() {
    return defaultLimit;
  }

  /**
   * Checks that a batch may go from {@code start} to {@code end}.
   *
   * @throws LakeflowException if either is of another stream, or the end lies before the start
   */
  public void checkRange(String start, String end) {
    reader.ask(NativeCalls.operation("range").put("start", start).put("end", end));
  }

  /** The end of a batch from {@code start} that tasks are to read; null if it is to be a slice. */
  public String leap(String start, boolean singleDrain) {
    ObjectNode request =
        reader.of("leap").put("start", start).put("single_drain", singleDrain);
    return Json.text(NativeReader.answer(request), "offset");
  }

  /** What each task reads of such a batch, if so many run at once. */
  public List<String> splits(String start, String end, int slots) {
    ObjectNode request =
        reader.of("splits").put("start", start).put("end", end).put("slots", slots);
    List<String> splits = new ArrayList<>();
    NativeReader.answer(request).path("splits").forEach(split -> splits.add(split.toString()));
    return List.copyOf(splits);
  }

  /** Begins a slice at {@code start}; {@code state} is what that offset's state names, or null. */
  public Slice slice(String id, String start, byte[] state, ReadTo end) {
    return new Slice(NativeReader.slice(reader, id, start, state, end));
  }

  @Override
  public void close() {
    reader.close();
  }

  private static long limit(ObjectNode answer) {
    // Numbers beyond a Java long mean that there is no limit.
    return answer.path("default_limit").canConvertToLong()
        ? answer.path("default_limit").asLong()
        : Long.MAX_VALUE;
  }

  /** A slice being read. */
  public static final class Slice implements Closeable {

    private final NativeReader reader;

    private Slice(NativeReader reader) {
      this.reader = reader;
    }

    /** The next chunk: the schema first, then one batch each; null at the end. */
    public byte[] next() {
      return reader.next();
    }

    /** How the slice ended; once, after its last chunk. */
    public End end() {
      ObjectNode json = reader.ask("slice_end");
      String state = Json.text(json, "state");
      List<String> warnings = new ArrayList<>();
      json.path("warnings").forEach(warning -> warnings.add(warning.asText()));
      return new End(
          Json.text(json, "offset"),
          json.path("rows").asLong(),
          Json.text(json, "state_hash"),
          state == null ? null : Base64.getDecoder().decode(state),
          json.path("lag_ms").isNumber() ? json.path("lag_ms").asLong() : null,
          List.copyOf(warnings),
          NativeReader.counters((ObjectNode) json.path("metrics")));
    }

    @Override
    public void close() {
      reader.close();
    }
  }

  /**
   * How a slice ended.
   *
   * @param offset its end; without rows the start, or the place that the service gave
   * @param rows its rows
   * @param stateHash name of the state that the offset refers to; null for none
   * @param state that state; null for none
   * @param lagMs milliseconds from what was reached to the end of the drain; null if not known
   * @param warnings one line each
   * @param metrics counters of the stream so far
   */
  public record End(
      String offset,
      long rows,
      String stateHash,
      byte[] state,
      Long lagMs,
      List<String> warnings,
      Map<String, Long> metrics) {}
}
