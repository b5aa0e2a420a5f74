package lakeflow.connect.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SourceTest {

  @AfterEach
  void nothingIsLeftOpen() {
    assertEquals(0, NativeCalls.openHandles());
  }

  @Test
  void contentsAreThoseOfOneNamespace() {
    ReadOptions tree = new ReadOptions(Map.of("sourceName", "tree", "key", "k"));

    assertEquals(
        new SourceContents(true, List.of(List.of("acme")), List.of("root")),
        SourceContents.fetch(tree));
    assertEquals(
        new SourceContents(true, List.of(), List.of("invoices", "taxes")),
        SourceContents.fetch(tree, "acme", "billing"));

    ReadOptions flat = new ReadOptions(Map.of("sourceName", "github", "token", "t"));
    SourceContents root = SourceContents.fetch(flat);
    assertFalse(root.namespaced());
    assertEquals(List.of(), root.namespaces());
    assertTrue(root.tables().contains("issues"));
  }

  @Test
  void anOutlineNeedsNoOptionsOfTheTable() {
    ReadOptions known =
        new ReadOptions(Map.of("sourceName", "github", "token", "t", "tableName", "issues"));

    LakeflowException error =
        assertThrows(LakeflowException.class, () -> TableDescription.fetch(known));
    assertTrue(error.getMessage().contains("option 'owner' is required"), error.getMessage());
    TableDescription outline = TableDescription.outline(known);
    assertEquals("github.issues", outline.name());
    assertEquals(
        Map.of(
            "ingestion_type", "cdc",
            "primary_keys", "[\"id\"]",
            "cursor_field", "updated_at",
            "streamable", "true"),
        outline.properties());
  }
}
