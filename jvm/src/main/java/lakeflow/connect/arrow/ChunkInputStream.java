package lakeflow.connect.arrow;

import java.io.IOException;
import java.io.InputStream;
import java.util.Objects;

/** Chunks of bytes as one stream; asks for the next chunk when the one before is used up. */
public final class ChunkInputStream extends InputStream {

  /** Where chunks come from. */
  @FunctionalInterface
  public interface Chunks {

    /** The next chunk, not empty; null at the end. */
    byte[] next() throws IOException;
  }

  private static final byte[] NONE = new byte[0];

  private final Chunks chunks;
  private byte[] chunk = NONE;
  private int position;

  /** A stream over {@code chunks}. */
  public ChunkInputStream(Chunks chunks) {
    this.chunks = chunks;
  }

  @Override
  public int read() throws IOException {
    return fill() ? chunk[position++] & 0xff : -1;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, target.length);
    if (length == 0) {
      return 0;
    }

    if (!fill()) {
      return -1;
    }

    int count = Math.min(length, chunk.length - position);
    System.arraycopy(chunk, position, target, offset, count);
    position += count;
    return count;
  }

  @Override
  public int available() {
    return chunk == null ? 0 : chunk.length - position;
  }

  private boolean fill() throws IOException {
    while (chunk != null && position == chunk.length) {
      chunk = chunks.next();
      position = 0;
    }

    return chunk != null;
  }
}
