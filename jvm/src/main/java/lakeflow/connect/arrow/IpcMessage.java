package lakeflow.connect.arrow;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import lakeflow.connect.errors.LakeflowException;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flatbuf.MessageHeader;
import org.apache.arrow.flatbuf.RecordBatch;

/** Looks into one encapsulated Arrow message. */
public final class IpcMessage {

  private static final int CONTINUATION = -1;
  private static final int PREFIX = 8;

  private IpcMessage() {}

  /** Rows of the record batch that {@code chunk} holds. */
  public static long rows(byte[] chunk) {
    ByteBuffer buffer = ByteBuffer.wrap(chunk).order(ByteOrder.LITTLE_ENDIAN);
    if (chunk.length < PREFIX || buffer.getInt() != CONTINUATION) {
      throw LakeflowException.internal("the chunk is no Arrow message");
    }

    int length = buffer.getInt();
    ByteBuffer metadata = buffer.slice(PREFIX, length).order(ByteOrder.LITTLE_ENDIAN);
    Message message = Message.getRootAsMessage(metadata);
    if (message.headerType() != MessageHeader.RecordBatch) {
      throw LakeflowException.internal("the chunk is no Arrow record batch");
    }

    return ((RecordBatch) message.header(new RecordBatch())).length();
  }
}
