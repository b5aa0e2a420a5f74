package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.node.ObjectNode;
import lakeflow.connect.errors.LakeflowException;

/** Questions that native code answers at once. */
final class NativeCalls {

  private NativeCalls() {}

  /** Version of the library. */
  static String version() {
    return call(operation("version")).path("version").asText();
  }

  /** How many reads of this process are open. */
  static long openHandles() {
    return call(operation("open_handles")).path("open_handles").asLong();
  }

  static ObjectNode operation(String name) {
    return Json.object().put("op", name);
  }

  static ObjectNode call(ObjectNode request) {
    ObjectNode answer = Json.parse(NativeBridge.call(Json.bytes(request)));
    if (answer == null) {
      throw LakeflowException.internal("the native library gave an answer that is no object");
    }

    return answer;
  }
}
