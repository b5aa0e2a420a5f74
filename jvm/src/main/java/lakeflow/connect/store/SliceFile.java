package lakeflow.connect.store;

import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.hadoop.fs.ChecksumException;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * The form of a slice file.
 *
 * <pre>
 * magic (8 bytes)
 * Arrow IPC chunks: the schema, then one record batch each; uncompressed, no end marker
 * footer: JSON {@code {"v", "start", "schema", "rows", "bytes", "chunks"}}, where {@code chunks}
 *     are {@code [offset, length, rows, CRC-32C]} and {@code bytes} is where the footer begins
 * length of the footer (4 bytes, big-endian)
 * CRC-32C of the footer (4 bytes, big-endian)
 * magic (8 bytes)
 * </pre>
 *
 * <p>A file is written once and is there only if it ends in a valid footer.
 */
final class SliceFile {

  static final byte[] MAGIC = "LFSLICE1".getBytes(StandardCharsets.US_ASCII);

  private static final int TRAILER = 4 + 4 + MAGIC.length;

  private SliceFile() {}

  static byte[] trailer(byte[] footer) {
    return ByteBuffer.allocate(TRAILER)
        .putInt(footer.length)
        .putInt((int) Chunk.checksum(footer))
        .put(MAGIC)
        .array();
  }

  /** The footer of {@code path}; null if there is no complete file. */
  static SliceFooter footer(FileSystem fs, Path path) throws IOException {
    try (FSDataInputStream file = fs.open(path)) {
      long length = fs.getFileStatus(path).getLen();
      long end = length - TRAILER;
      if (end < MAGIC.length) {
        return null;
      }

      byte[] trailer = new byte[TRAILER];
      file.readFully(end, trailer);
      ByteBuffer fields = ByteBuffer.wrap(trailer);
      int footerLength = fields.getInt();
      long checksum = Integer.toUnsignedLong(fields.getInt());
      long start = end - footerLength;
      byte[] magic = Arrays.copyOfRange(trailer, TRAILER - MAGIC.length, TRAILER);
      if (!Arrays.equals(magic, MAGIC) || footerLength < 0 || start < MAGIC.length) {
        return null;
      }

      byte[] footer = new byte[footerLength];
      file.readFully(start, footer);
      return Chunk.checksum(footer) == checksum ? SliceFooter.parse(footer, start) : null;
    } catch (FileNotFoundException | EOFException | ChecksumException e) {
      return null;
    }
  }
}
