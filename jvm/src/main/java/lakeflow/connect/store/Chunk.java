package lakeflow.connect.store;

import java.io.IOException;
import java.io.Serializable;
import java.util.zip.CRC32C;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;
import org.apache.hadoop.fs.FSDataInputStream;

/**
 * A piece of a slice file.
 *
 * @param offset its first byte in the file
 * @param length its bytes
 * @param rows its rows; 0 for the schema
 * @param checksum its CRC-32C
 */
public record Chunk(long offset, int length, long rows, long checksum) implements Serializable {

  /**
   * Reads it from its file.
   *
   * @throws LakeflowException if the bytes are not those that were written
   */
  public byte[] read(FSDataInputStream file, String name) throws IOException {
    byte[] bytes = new byte[length];
    file.readFully(offset, bytes, 0, length);
    if (checksum(bytes) != checksum) {
      throw LakeflowException.dataInvalid(
          "slice " + name + " is damaged: bytes " + offset + " to " + (offset + length)
              + " do not have the checksum that was stored with them; restore the file, or remove"
              + " it and set option '" + ReadOptions.FAIL_ON_DATA_LOSS
              + "' to false to read its batch again");
    }

    return bytes;
  }

  static long checksum(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return crc.getValue();
  }
}
