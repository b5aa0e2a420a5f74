package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.Closeable;
import java.lang.ref.Cleaner;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A read under way in native code; owns its handle. May be closed from any thread. */
public final class NativeReader implements Closeable {

  private static final Logger LOG = LoggerFactory.getLogger(NativeReader.class);
  private static final Cleaner CLEANER = Cleaner.create();
  private static final int WAIT_MS = 200;

  private final Handle handle;
  private final Cleaner.Cleanable cleanable;
  private volatile Map<String, Long> lastMetrics = Map.of();

  private NativeReader(ObjectNode request, byte[] blob) {
    NativeLibrary.load();
    this.handle = new Handle(NativeBridge.open(Json.bytes(request), blob));
    this.cleanable = CLEANER.register(this, handle);
  }

  /** What native code answers to a request whose result is one object. */
  static ObjectNode answer(ObjectNode request) {
    try (NativeReader reader = new NativeReader(request, null)) {
      byte[] chunk = reader.next();
      ObjectNode json = chunk == null ? null : Json.parse(chunk);
      if (json == null) {
        throw LakeflowException.internal("the native library gave no answer");
      }

      return json;
    }
  }

  /** Reads one split of a table, or all of it if that is null. First chunk is the schema. */
  public static NativeReader batch(ReadOptions options, Wanted wanted, String split) {
    ObjectNode request = request("batch", options);
    wanted.writeTo(request.putObject("wanted"));
    request.set(
        "split", split == null ? null : Json.parse(split.getBytes(StandardCharsets.UTF_8)));

    return new NativeReader(request, null);
  }

  /** Opens a stream; it can be used once {@link #next()} has said that it is open. */
  static NativeReader stream(ReadOptions options) {
    return new NativeReader(request("stream", options), null);
  }

  /** A request about this stream. */
  ObjectNode of(String kind) {
    return Json.object().put("kind", kind).put("stream", handle.id);
  }

  /** Reads the next slice of a stream, whose end offset will carry {@code id}. */
  static NativeReader slice(
      NativeReader stream, String id, String start, byte[] state, ReadTo end) {
    ObjectNode request =
        stream
            .of("slice")
            .put("id", id)
            .put("start", start)
            .put("limit", end.limit())
            .put("single_drain", end.singleDrain())
            .put("upto", end.upto());
    return new NativeReader(request, state);
  }

  /**
   * Waits for the next chunk; null at the end.
   *
   * @throws java.io.UncheckedIOException if the thread is interrupted or its task killed
   */
  public byte[] next() {
    byte[] chunk;
    do {
      Interruption.check();
      chunk = NativeBridge.next(handle.id, WAIT_MS);
    } while (chunk != null && chunk.length == 0);

    return chunk;
  }

  /** Counters of the read up to the last chunk; those at its end once it is closed. */
  public Map<String, Long> metrics() {
    if (!handle.closed.get()) {
      try {
        lastMetrics = counters(ask("metrics"));
      } catch (LakeflowException e) {
        LOG.debug("counters of a read that is being closed: handle {}", handle.id, e);
      }
    }

    return lastMetrics;
  }

  /** Asks an operation that takes this handle. */
  ObjectNode ask(String operation) {
    return ask(NativeCalls.operation(operation));
  }

  /** Asks an operation that takes this handle and more. */
  ObjectNode ask(ObjectNode operation) {
    return NativeCalls.call(operation.put("handle", handle.id));
  }

  static Map<String, Long> counters(ObjectNode object) {
    Map<String, Long> counters = new LinkedHashMap<>();
    object.fieldNames().forEachRemaining(n -> counters.put(n, object.path(n).asLong()));
    return counters;
  }

  @Override
  public void close() {
    metrics();
    handle.close();
    cleanable.clean();
  }

  /** A request to open a read. */
  static ObjectNode request(String kind, ReadOptions options) {
    ObjectNode request = Json.object().put("kind", kind);
    ObjectNode values = request.putObject("options");
    options.forEach(values::put);
    return request;
  }

  /** What is left to do once the reader is gone; holds no reference to it. */
  private static final class Handle implements Runnable {

    private final long id;
    private final AtomicBoolean closed = new AtomicBoolean();

    private Handle(long id) {
      this.id = id;
    }

    private void close() {
      if (closed.compareAndSet(false, true)) {
        NativeBridge.close(id);
      }
    }

    @Override
    public void run() {
      if (!closed.get()) {
        LOG.error("a native read was not closed: handle {}", id);
        try {
          close();
        } catch (LakeflowException e) {
          LOG.error("cannot close the native read: handle {}", id, e);
        }
      }
    }
  }
}
