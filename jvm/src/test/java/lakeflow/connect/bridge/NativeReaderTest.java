package lakeflow.connect.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import lakeflow.connect.arrow.ArrowBatches;
import lakeflow.connect.arrow.ChunkInputStream;
import lakeflow.connect.arrow.IpcMessage;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;
import lakeflow.connect.store.StreamOffset;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class NativeReaderTest {

  private static final int CYCLES = 10_000;
  private static final long PAGE_ROWS = 500;

  @BeforeAll
  static void load() {
    NativeLibrary.load();
  }

  @AfterEach
  void nothingIsLeftOpen() {
    assertEquals(0, NativeCalls.openHandles());
  }

  @Test
  void panicInACallIsAnExceptionAndTheProcessLives() {
    LakeflowException error =
        assertThrows(
            LakeflowException.class,
            () -> NativeCalls.call(NativeCalls.operation("panic").put("message", "é😀\0!")));

    assertEquals("INTERNAL", error.code());
    assertEquals("never", error.retry());
    String message = error.getMessage();
    assertTrue(message.startsWith("[INTERNAL] panic: é😀\0! (location: "), message);
    assertTrue(message.contains("entry.rs:"), message);
    assertEquals("0.1.0", NativeCalls.version());
  }

  @Test
  void panicInAReadIsAnExceptionAndTheProcessLives() {
    try (NativeReader reader = NativeReader.batch(options("panicking"), Wanted.ALL, null)) {
      LakeflowException error = assertThrows(LakeflowException.class, () -> drain(reader));
      assertEquals("INTERNAL", error.code());
      assertTrue(error.getMessage().contains("panicking on purpose"), error.getMessage());
      LakeflowException again = assertThrows(LakeflowException.class, reader::next);
      assertEquals("CANCELLED", again.code());
    }
  }

  @Test
  void malformedRequestIsAnException() {
    LakeflowException error =
        assertThrows(LakeflowException.class, () -> NativeBridge.open(new byte[] {'{'}, null));

    assertEquals("INTERNAL", error.code());
  }

  @Test
  void nullRequestIsAnException() {
    assertThrows(LakeflowException.class, () -> NativeBridge.open(null, null));
    assertThrows(LakeflowException.class, () -> NativeBridge.call(null));
  }

  @Test
  void staleHandleIsAnExceptionAndClosingTwiceIsHarmless() {
    byte[] request =
        Json.bytes(
            Json.object()
                .put("kind", "describe")
                .set("options", Json.object().put("sourceName", "endless")));
    long handle = NativeBridge.open(request, null);
    NativeBridge.close(handle);
    NativeBridge.close(handle);
    for (long stale : new long[] {handle, 0, -1, Long.MAX_VALUE}) {
      LakeflowException error =
          assertThrows(LakeflowException.class, () -> NativeBridge.next(stale, 0));
      assertEquals("CANCELLED", error.code());
    }
  }

  @Test
  void closeEndsACallThatWaits() throws Exception {
    NativeReader reader = NativeReader.batch(options("blocking"), Wanted.ALL, null);
    CompletableFuture<byte[]> waiting = CompletableFuture.supplyAsync(() -> drain(reader));
    assertThrows(
        TimeoutException.class,
        () -> waiting.get(20, TimeUnit.MILLISECONDS));
    reader.close();

    ExecutionException error =
        assertThrows(ExecutionException.class, () -> waiting.get(2, TimeUnit.SECONDS));
    assertEquals("CANCELLED", assertInstanceOf(LakeflowException.class, error.getCause()).code());
  }

  @Test
  void interruptEndsACallThatWaits() throws Exception {
    CompletableFuture<Throwable> thrown = new CompletableFuture<>();
    Thread thread =
        new Thread(
            () -> {
              try (NativeReader reader = NativeReader.batch(options("blocking"), Wanted.ALL, null)) {
                drain(reader);
                thrown.complete(null);
              } catch (RuntimeException e) {
                thrown.complete(e);
              }
            });
    thread.start();
    thread.interrupt();

    Throwable error = thrown.get(2, TimeUnit.SECONDS);
    thread.join();
    assertInstanceOf(UncheckedIOException.class, error);
    assertInstanceOf(InterruptedIOException.class, error.getCause());
  }

  @Test
  void textOutsideTheBasicPlaneAndNulArriveUnchanged() throws Exception {
    StructType schema = StructType.fromDDL("name string, id bigint");
    long rows = 0;
    try (NativeReader reader = endless(3);
        ArrowBatches batches = new ArrowBatches(new ChunkInputStream(reader::next), schema)) {
      while (batches.next()) {
        for (int row = 0; row < batches.current().numRows(); row++) {
          long id = batches.current().column(1).getLong(row);
          assertEquals(rows++, id);
          String name = batches.current().column(0).getUTF8String(row).toString();
          assertEquals("é😀\0" + id, name);
        }
      }
    }

    assertEquals(3 * PAGE_ROWS, rows);
  }

  @Test
  void rowsOfAChunkAreReadFromItsMessage() {
    try (NativeReader reader = endless(3)) {
      byte[] schema = reader.next();
      assertThrows(LakeflowException.class, () -> IpcMessage.rows(schema));
      long rows = 0;
      for (byte[] chunk = reader.next(); chunk != null; chunk = reader.next()) {
        rows += IpcMessage.rows(chunk);
      }
      assertEquals(3 * PAGE_ROWS, rows);
      assertNull(reader.next());
    }
  }

  @Test
  void endlessReadIsClosedInTheMiddle() {
    try (NativeReader reader = endless(Long.MAX_VALUE)) {
      for (int chunk = 0; chunk < 5; chunk++) {
        assertTrue(reader.next().length > 0);
      }
    }
  }

  @Test
  void manyReadsLeaveNothingBehind() {
    ReadOptions options = options("blocking");
    for (int cycle = 0; cycle < CYCLES; cycle++) {
      NativeReader.batch(options, Wanted.columns(List.of("id")), null).close();
    }
  }

  @Test
  void unknownTableIsATypedError() {
    ReadOptions options = options("endless").overlaidBy(Map.of("tableName", "nope"));
    try (NativeReader reader = NativeReader.batch(options, Wanted.ALL, null)) {
      LakeflowException error = assertThrows(LakeflowException.class, reader::next);
      assertEquals("TABLE_NOT_FOUND", error.code());
    }
  }

  @Test
  void streamReadsSlicesAndKeepsTheIdsGiven() {
    try (NativeStream stream = NativeStream.open(options("endless"))) {
      NativeStream.End first = slice(stream, "a1", "{}", null);
      assertEquals("a1", new StreamOffset(first.offset()).slice());
      NativeStream.End second = slice(stream, "a2", first.offset(), first.state());
      assertEquals("a2", new StreamOffset(second.offset()).slice());
      assertTrue(second.rows() > 0);
    }
  }

  @Test
  void rangeThatRunsBackwardsIsRefused() {
    try (NativeStream stream = NativeStream.open(options("endless"))) {
      NativeStream.End first = slice(stream, "a1", "{}", null);
      NativeStream.End second = slice(stream, "a2", first.offset(), first.state());
      stream.checkRange("{}", second.offset());
      stream.checkRange(first.offset(), second.offset());

      LakeflowException error =
          assertThrows(
              LakeflowException.class,
              () -> stream.checkRange(second.offset(), first.offset()));
      assertEquals("OFFSET_INVALID", error.code());
    }
  }

  @Test
  void sliceEndIsRefusedBeforeTheLastChunk() {
    try (NativeStream stream = NativeStream.open(options("endless"));
        NativeStream.Slice slice = stream.slice("a", "{}", null, ReadTo.limit(null, false))) {
      assertEquals(
          "INTERNAL", assertThrows(LakeflowException.class, slice::end).code());
    }
  }

  private static NativeStream.End slice(
      NativeStream stream, String id, String start, byte[] state) {
    try (NativeStream.Slice slice = stream.slice(id, start, state, ReadTo.limit(1000L, false))) {
      while (slice.next() != null) {}

      return slice.end();
    }
  }

  private static NativeReader endless(long pages) {
    ReadOptions options = options("endless");
    return NativeReader.batch(
        options.overlaidBy(Map.of("pages", Long.toString(pages))),
        Wanted.columns(List.of("id", "name")),
        null);
  }

  private static ReadOptions options(String source) {
    return new ReadOptions(Map.of("sourceName", source, "tableName", "items"));
  }

  private static byte[] drain(NativeReader reader) {
    byte[] last = null;
    for (byte[] chunk = reader.next(); chunk != null; chunk = reader.next()) {
      last = chunk;
    }

    return last;
  }
}
