package lakeflow.connect.spark;

import java.io.IOException;
import java.util.UUID;
import lakeflow.connect.arrow.IpcMessage;
import lakeflow.connect.bridge.NativeStream;
import lakeflow.connect.bridge.ReadTo;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.internal.FailPoint;
import lakeflow.connect.store.SliceStore;
import lakeflow.connect.store.SliceWriter;
import lakeflow.connect.store.StreamOffset;

/** Reads a slice into the store, batch by batch. */
final class SliceReading {

  private final NativeStream stream;
  private final SliceStore store;
  private final String schemaJson;

  SliceReading(NativeStream stream, SliceStore store, String schemaJson) {
    this.stream = stream;
    this.store = store;
    this.schemaJson = schemaJson;
  }

  /**
   * What was read.
   *
   * @param id names the file in the store, which exists if the offset moved
   * @param end how the slice ended
   */
  record Result(String id, NativeStream.End end) {}

  /** Reads from {@code start}; once this returns, rows and state are in the store. */
  Result read(StreamOffset start, ReadTo to) throws IOException {
    String id = UUID.randomUUID().toString().replace("-", "");
    byte[] state = store.readState(start);
    try (NativeStream.Slice slice = stream.slice(id, start.text(), state, to)) {
      byte[] schema = slice.next();
      byte[] batch = schema == null ? null : slice.next();
      long rows = batch == null ? 0 : write(id, start, slice, schema, batch);
      NativeStream.End end = slice.end();
      check(id, start, end, rows);
      if (rows == 0 && moved(start, end)) {
        writeEmpty(id, start, schema);
      }
      if (end.state() != null) {
        store.writeState(end.stateHash(), end.state());
      }

      return new Result(id, end);
    }
  }

  private long write(
      String id, StreamOffset start, NativeStream.Slice slice, byte[] schema, byte[] first)
      throws IOException {
    FailPoint.reach("page_fetched");
    try (SliceWriter writer = store.write(id, start, schemaJson)) {
      writer.write(schema, 0);
      writer.write(first, IpcMessage.rows(first));
      FailPoint.reach("slice_half_written");
      for (byte[] batch = slice.next(); batch != null; batch = slice.next()) {
        writer.write(batch, IpcMessage.rows(batch));
      }
      writer.complete();
      FailPoint.reach("slice_complete");

      return writer.rows();
    }
  }

  // The place that a service gave must not be lost although nothing has changed there yet; the file
  // is the link from the offset that Spark logs to the one before.
  private void writeEmpty(String id, StreamOffset start, byte[] schema) throws IOException {
    try (SliceWriter writer = store.write(id, start, schemaJson)) {
      writer.write(schema, 0);
      writer.complete();
    }
  }

  private static void check(String id, StreamOffset start, NativeStream.End end, long rows) {
    if (rows != end.rows()) {
      throw LakeflowException.internal(
          "the slice has " + rows + " rows, its end says " + end.rows());
    }

    boolean moved = moved(start, end);
    // Rows at an unchanged offset would come again for ever.
    if ((rows > 0 && !moved) || (moved && !id.equals(new StreamOffset(end.offset()).slice()))) {
      throw LakeflowException.internal(
          "the slice " + id + " has " + rows + " rows and its offset "
              + (moved ? "names another slice" : "did not move"));
    }
  }

  private static boolean moved(StreamOffset start, NativeStream.End end) {
    return !end.offset().equals(start.text());
  }
}
