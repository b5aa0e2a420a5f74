package lakeflow.connect.options;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.Map;
import java.util.TreeMap;
import lakeflow.connect.errors.LakeflowException;
import org.junit.jupiter.api.Test;

class ReadOptionsTest {

  private static final ReadOptions OPTIONS =
      new ReadOptions(
          Map.of("SourceName", "github", "tableName", "issues", "api_key", "canary"));

  @Test
  void onlySourceAndTableAreShown() throws Exception {
    assertEquals("github.issues", OPTIONS.toString());
    assertEquals("\"github.issues\"", new ObjectMapper().writeValueAsString(OPTIONS));
    assertEquals("?.?", new ReadOptions(Map.of("api_key", "canary")).toString());
  }

  @Test
  void namesAreCaseInsensitiveAndKeepTheirSpelling() {
    TreeMap<String, String> seen = new TreeMap<>();
    OPTIONS.overlaidBy(Map.of("API_Key", "other")).forEach(seen::put);

    assertEquals(
        Map.of("SourceName", "github", "tableName", "issues", "API_Key", "other"), seen);
    assertEquals("github", OPTIONS.get("sourcename"));
  }

  @Test
  void optionsTravel() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(OPTIONS);
    }
    try (ObjectInputStream in =
        new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
      ReadOptions copy = (ReadOptions) in.readObject();
      assertEquals(OPTIONS, copy);
      assertEquals("canary", copy.get("API_KEY"));
    }
  }

  @Test
  void yesOrNoOptionsAreChecked() {
    ReadOptions options = new ReadOptions(Map.of("a", "TRUE", "b", " false ", "c", "yes", "d", ""));

    assertEquals(true, options.flag("a", false));
    assertEquals(false, options.flag("b", true));
    assertEquals(true, options.flag("d", true));
    assertEquals(true, options.flag("absent", true));
    LakeflowException error =
        assertThrows(LakeflowException.class, () -> options.flag("c", true));
    assertEquals(
        "[CONFIG_INVALID] option 'c' must be true or false, got \"yes\"", error.getMessage());
  }
}
