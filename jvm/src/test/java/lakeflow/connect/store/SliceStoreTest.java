package lakeflow.connect.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Stream;
import lakeflow.connect.errors.LakeflowException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SliceStoreTest {

  private static final long DAY_MS = 24L * 60 * 60 * 1000;
  private static final SliceOwner OWNER = new SliceOwner("github", "issues", "checkpoint");
  private static final StreamOffset A = offset("a", "sa");
  private static final StreamOffset B = offset("b", "sb");
  private static final StreamOffset C = offset("c", "sc");

  @TempDir Path folder;

  private final Configuration configuration = new Configuration();
  private SliceStore store;

  @BeforeEach
  void open() throws IOException {
    store = SliceStore.open(configuration, folder.toString(), OWNER);
  }

  @Test
  void completeSliceIsReadBack() throws IOException {
    write("a", StreamOffset.BEGINNING);

    SliceFooter footer = store.footer(A);
    assertEquals("{}", footer.start());
    assertEquals("{\"type\":\"struct\"}", footer.schemaJson());
    assertEquals(5, footer.rows());
    assertEquals(List.of("first", "second"), contents("a", footer.batches()));
    assertEquals(List.of("schema"), contents("a", List.of(footer.schema())));
    assertEquals(8 + 6 + 5 + 6, footer.bytes());
  }

  /** The same file is what the tests of the native store write. */
  @Test
  void fileHasTheBytesThatTheNativeStoreWrites() throws IOException {
    write("a", StreamOffset.BEGINNING);

    Path golden = Path.of(System.getenv("LAKEFLOW_ROOT"), "tests", "golden", "slice.arrow");
    assertArrayEquals(Files.readAllBytes(golden), Files.readAllBytes(file("a")));
  }

  @Test
  void bytesAreThoseOfTheFilesThatAreThere() throws IOException {
    assertEquals(0, store.bytes());
    write("a", StreamOffset.BEGINNING);
    long slice = Files.size(file("a"));
    store.writeState("sa", bytes("state"));
    assertEquals(slice + 5, store.bytes());
    assertEquals(slice + 5, SliceStore.open(configuration, folder.toString(), OWNER).bytes());

    store.dropSlices(A);
    assertEquals(5, store.bytes());
  }

  @Test
  void sliceIsWrittenOnce() throws IOException {
    write("a", StreamOffset.BEGINNING);

    assertThrows(
        FileAlreadyExistsException.class, () -> store.write("a", StreamOffset.BEGINNING, "{}"));
  }

  @Test
  void incompleteSliceDoesNotExistAndIsRemovedWhenItIsGivenUp() throws IOException {
    SliceWriter writer = store.write("a", StreamOffset.BEGINNING, "{}");
    writer.write(bytes("schema"), 0);
    assertNull(store.footer(A));
    writer.close();

    assertEquals(List.of(), files("slices"));
  }

  @Test
  void fileCutAnywhereDoesNotExist() throws IOException {
    write("a", StreamOffset.BEGINNING);
    byte[] whole = Files.readAllBytes(file("a"));
    for (int length = 0; length < whole.length; length++) {
      replace("a", java.util.Arrays.copyOf(whole, length));
      assertNull(store.footer(A), "cut to " + length);
    }
  }

  @Test
  void fileWithOneByteChangedDoesNotExistOrFailsItsChecksum() throws IOException {
    write("a", StreamOffset.BEGINNING);
    byte[] whole = Files.readAllBytes(file("a"));
    int magic = SliceFile.MAGIC.length;
    for (int at = magic; at < whole.length; at++) {
      byte[] changed = whole.clone();
      changed[at] ^= 1;
      replace("a", changed);
      SliceFooter footer = store.footer(A);
      if (footer != null) {
        LakeflowException error =
            assertThrows(
                LakeflowException.class,
                () -> {
                  contents("a", List.of(footer.schema()));
                  contents("a", footer.batches());
                },
                "changed at " + at);
        assertEquals("DATA_INVALID", error.code());
      }
    }
  }

  @Test
  void sameOwnerOpensTheStoreAgainAndAnotherIsRefused() throws IOException {
    SliceStore.open(configuration, folder.toString(), OWNER);
    SliceOwner[] others = {
      new SliceOwner("github", "issues", "other"),
      new SliceOwner("github", "commits", "checkpoint"),
      new SliceOwner("zendesk", "issues", "checkpoint"),
    };
    for (SliceOwner other : others) {
      LakeflowException error =
          assertThrows(
              LakeflowException.class,
              () -> SliceStore.open(configuration, folder.toString(), other));
      assertEquals(
          "[CONFIG_INVALID] the slice store " + folder + " belongs to " + OWNER + ", this is "
              + other + "; use a new checkpoint or another folder in option 'sliceStore'",
          error.getMessage());
    }
  }

  @Test
  void storeOfADoorThatKnowsNoCheckpointIsTakenOver() throws IOException {
    Files.delete(folder.resolve(".owner.json.crc"));
    String any = "{\"source\":\"github\",\"table\":\"issues\",\"stream\":\"any\"}";
    Files.writeString(folder.resolve("owner.json"), any);

    SliceStore.open(configuration, folder.toString(), OWNER);
    SliceOwner other = new SliceOwner("github", "commits", "checkpoint");
    assertThrows(
        LakeflowException.class,
        () -> SliceStore.open(configuration, folder.toString(), other));
  }

  @Test
  void ownerThatWasCutOffIsWrittenAgain() throws IOException {
    Files.delete(folder.resolve(".owner.json.crc"));
    Files.write(folder.resolve("owner.json"), new byte[0]);

    SliceStore.open(configuration, folder.toString(), OWNER);
    assertEquals(
        "{\"source\":\"github\",\"table\":\"issues\",\"stream\":\"checkpoint\"}",
        Files.readString(folder.resolve("owner.json")));
  }

  @Test
  void chainLeadsFromEndToStart() throws IOException {
    write("a", StreamOffset.BEGINNING);
    write("b", A);
    write("c", B);

    assertEquals(List.of(), chain(B, B));
    assertEquals(List.of("c"), chain(B, C));
    assertEquals(List.of("a", "b", "c"), chain(StreamOffset.BEGINNING, C));
  }

  @Test
  void gapInTheChainIsTold() throws IOException {
    write("a", StreamOffset.BEGINNING);
    write("c", B);

    assertNull(store.chain(StreamOffset.BEGINNING, C));
    assertNull(store.chain(offset("x", null), A));
    assertNull(store.chain(A, StreamOffset.BEGINNING));
  }

  @Test
  void committedSlicesGoWithThoseThatWereForgottenBefore() throws IOException {
    write("a", StreamOffset.BEGINNING);
    write("b", A);
    write("c", B);
    store.dropSlices(B);
    store.dropSlices(B);

    assertEquals(List.of("c.arrow"), files("slices"));
  }

  @Test
  void statesOfTheCurrentOffsetAndOfOthersStay() throws IOException {
    for (String state : List.of("sa", "sb", "sc", "other")) {
      store.writeState(state, bytes(state));
    }
    write("a", StreamOffset.BEGINNING);
    write("b", A);
    write("c", B);
    store.dropSlices(B);
    assertEquals(List.of("other", "sa", "sb", "sc"), files("state"));
    store.dropBefore(C, System.currentTimeMillis());

    assertEquals(List.of(), files("slices"));
    assertEquals(List.of("other", "sc"), files("state"));
    assertArrayEquals(bytes("sc"), store.readState(C));
    assertNull(store.readState(A));
    assertNull(store.readState(StreamOffset.BEGINNING));
  }

  @Test
  void stateThatComesBackIsKept() throws IOException {
    StreamOffset again = offset("b", "sa");
    store.writeState("sa", bytes("sa"));
    write("a", StreamOffset.BEGINNING);
    write("b", A);
    store.dropBefore(again, System.currentTimeMillis());

    assertArrayEquals(bytes("sa"), store.readState(again));
  }

  @Test
  void orphansGoAfterADayAndNotBefore() throws IOException {
    write("orphan", A);
    store.writeState("orphan", bytes("x"));
    store.writeState("sc", bytes("sc"));
    long now = System.currentTimeMillis();
    store.dropBefore(C, now);
    assertEquals(List.of("orphan.arrow"), files("slices"));
    store.dropBefore(C, now + 2 * DAY_MS);

    assertEquals(List.of(), files("slices"));
    assertEquals(List.of("sc"), files("state"));
  }

  @Test
  void stateThatWasCutOffIsWrittenAgain() throws IOException {
    store.writeState("sa", bytes("half"));
    store.writeState("sa", bytes("the whole"));

    assertArrayEquals(bytes("the whole"), store.readState(A));
  }

  @Test
  void filesAreForTheirOwnerOnly() throws IOException {
    write("a", StreamOffset.BEGINNING);
    store.writeState("sa", bytes("x"));
    for (String name : List.of("slices", "state")) {
      assertEquals("rwx------", mode(folder.resolve(name)));
    }
    for (String name : List.of("slices/a.arrow", "state/sa", "owner.json")) {
      assertEquals("rw-------", mode(folder.resolve(name)));
    }
  }

  @Test
  void namesThatLeaveTheFolderAreRefused() {
    for (String id : List.of("../x", "a/b", "", ".", "é")) {
      LakeflowException error =
          assertThrows(LakeflowException.class, () -> store.footer(offset(id, null)));
      assertEquals("OFFSET_INVALID", error.code());
    }
  }

  private void write(String id, StreamOffset start) throws IOException {
    try (SliceWriter writer = store.write(id, start, "{\"type\":\"struct\"}")) {
      writer.write(bytes("schema"), 0);
      writer.write(bytes("first"), 2);
      writer.write(bytes("second"), 3);
      writer.complete();
      assertEquals(5, writer.rows());
    }
  }

  private List<String> chain(StreamOffset start, StreamOffset end) throws IOException {
    return store.chain(start, end).stream().map(StoredSlice::id).toList();
  }

  private List<String> contents(String id, List<Chunk> chunks) throws IOException {
    org.apache.hadoop.fs.Path path = new org.apache.hadoop.fs.Path(file(id).toString());
    FileSystem fs = path.getFileSystem(configuration);
    List<String> contents = new ArrayList<>();
    try (FSDataInputStream in = fs.open(path)) {
      for (Chunk chunk : chunks) {
        contents.add(new String(chunk.read(in, id), StandardCharsets.UTF_8));
      }
    }

    return contents;
  }

  private void replace(String id, byte[] bytes) throws IOException {
    Files.deleteIfExists(file(id).resolveSibling("." + id + ".arrow.crc"));
    Files.write(file(id), bytes);
  }

  private Path file(String id) {
    return folder.resolve("slices").resolve(id + ".arrow");
  }

  private List<String> files(String name) throws IOException {
    TreeSet<String> names = new TreeSet<>();
    try (Stream<Path> files = Files.list(folder.resolve(name))) {
      files.map(f -> f.getFileName().toString()).filter(f -> !f.startsWith(".")).forEach(names::add);
    }

    return List.copyOf(names);
  }

  private static String mode(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  private static StreamOffset offset(String slice, String state) {
    String stateMember = state == null ? "" : ", \"state\": \"" + state + "\"";
    return new StreamOffset("{\"slice\": \"" + slice + "\"" + stateMember + ", \"v\": 1}");
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
