package lakeflow.connect.store;

import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Writes one slice file, chunk by chunk; removes it if it is closed before it is complete. */
public final class SliceWriter implements Closeable {

  private static final Logger LOG = LoggerFactory.getLogger(SliceWriter.class);

  private final FileSystem fs;
  private final Path path;
  private final FSDataOutputStream file;
  private final String start;
  private final String schemaJson;
  private final LongConsumer completed;
  private final List<Chunk> chunks = new ArrayList<>();
  private long position;
  private long rows;
  private boolean complete;

  SliceWriter(
      FileSystem fs,
      Path path,
      FSDataOutputStream file,
      String start,
      String schemaJson,
      LongConsumer completed)
      throws IOException {
    this.fs = fs;
    this.path = path;
    this.file = file;
    this.start = start;
    this.schemaJson = schemaJson;
    this.completed = completed;
    put(SliceFile.MAGIC);
  }

  /** Writes a chunk with this many rows; the first one is the schema. */
  public void write(byte[] chunk, long rowCount) throws IOException {
    chunks.add(new Chunk(position, chunk.length, rowCount, Chunk.checksum(chunk)));
    rows += rowCount;
    put(chunk);
  }

  /** Writes the footer and closes the file: from now on the slice exists. */
  public void complete() throws IOException {
    byte[] footer =
        new SliceFooter(
                start, schemaJson, rows, position, chunks.get(0), chunks.subList(1, chunks.size()))
            .toBytes();
    put(footer);
    put(SliceFile.trailer(footer));
    file.close();
    complete = true;
    completed.accept(position);
  }

  /** Rows written so far. */
  public long rows() {
    return rows;
  }

  @Override
  public void close() {
    if (complete) {
      return;
    }

    try {
      file.close();
    } catch (IOException e) {
      LOG.warn("cannot close an incomplete slice: file {}", path, e);
    }
    try {
      fs.delete(path, false);
    } catch (IOException e) {
      LOG.warn("cannot remove an incomplete slice: file {}", path, e);
    }
  }

  private void put(byte[] bytes) throws IOException {
    file.write(bytes);
    position += bytes.length;
  }
}
