package lakeflow.connect.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.store.StreamOffset;
import org.junit.jupiter.api.Test;

class LakeflowOffsetTest {

  @Test
  void offsetsAreEqualIfTheirTextIs() {
    LakeflowOffset offset = offset("{\"slice\": \"a\", \"v\": 1}");

    assertEquals(offset("{\"slice\": \"a\", \"v\": 1}"), offset);
    assertEquals(offset("{\"slice\": \"a\", \"v\": 1}").hashCode(), offset.hashCode());
    assertNotEquals(offset("{\"slice\":\"a\",\"v\":1}"), offset);
    assertEquals("{\"slice\": \"a\", \"v\": 1}", offset.json());
  }

  @Test
  void sliceAndStateAreRead() {
    StreamOffset offset = new StreamOffset("{\"slice\": \"a\", \"state\": \"b\"}");

    assertEquals("a", offset.slice());
    assertEquals("b", offset.state());
    assertEquals(null, StreamOffset.BEGINNING.slice());
  }

  @Test
  void textThatIsNoObjectIsRefused() {
    for (String text : new String[] {"", "[]", "1", "{"}) {
      LakeflowException error =
          assertThrows(LakeflowException.class, () -> new StreamOffset(text));
      assertEquals("OFFSET_INVALID", error.code());
    }
  }

  private static LakeflowOffset offset(String text) {
    return new LakeflowOffset(new StreamOffset(text));
  }
}
