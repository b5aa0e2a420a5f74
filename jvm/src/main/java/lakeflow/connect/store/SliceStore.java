package lakeflow.connect.store;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import lakeflow.connect.bridge.Json;
import lakeflow.connect.errors.LakeflowException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.ChecksumException;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The slices of one stream, and the states that its offsets name.
 *
 * <pre>
 * owner.json          who the folder belongs to
 * slices/&lt;id&gt;.arrow   rows up to the offset that carries the id, see {@link SliceFile}
 * state/&lt;hash&gt;        what the offset that names the hash needs besides
 * </pre>
 *
 * <p>Files are written once under their final name. Those of a stream that was cut off, named by no
 * logged offset, stay for a day: another driver may be about to log them.
 */
public final class SliceStore {

  private static final Logger LOG = LoggerFactory.getLogger(SliceStore.class);
  private static final long ORPHAN_AGE_MS = 24L * 60 * 60 * 1000;
  private static final long SWEEP_INTERVAL_MS = 60L * 60 * 1000;
  private static final int BUFFER_BYTES = 64 * 1024;
  private static final FsPermission FILE_MODE = new FsPermission((short) 0600);
  private static final FsPermission FOLDER_MODE = new FsPermission((short) 0700);
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_-]{1,128}");

  private final FileSystem fs;
  private final Path slices;
  private final Path states;
  private final Set<String> staleStates = new HashSet<>();
  private final Map<Path, Long> sizes = new ConcurrentHashMap<>();
  private long lastSweep = Long.MIN_VALUE;

  private SliceStore(FileSystem fs, Path root) {
    this.fs = fs;
    this.slices = new Path(root, "slices");
    this.states = new Path(root, "state");
  }

  /**
   * Opens the store at {@code location} for {@code owner}, which marks it on first use.
   *
   * @throws LakeflowException if the folder belongs to another stream
   */
  public static SliceStore open(Configuration configuration, String location, SliceOwner owner)
      throws IOException {
    Path root = new Path(location);
    FileSystem fs = root.getFileSystem(configuration);
    SliceStore store = new SliceStore(fs, fs.makeQualified(root));
    for (Path folder : new Path[] {root, store.slices, store.states}) {
      if (!fs.exists(folder)) {
        FileSystem.mkdirs(fs, folder, FOLDER_MODE);
      }
    }
    store.claim(new Path(root, "owner.json"), owner);
    for (Path folder : new Path[] {store.slices, store.states}) {
      for (FileStatus file : fs.listStatus(folder)) {
        store.sizes.put(file.getPath(), file.getLen());
      }
    }

    return store;
  }

  /** Begins the slice {@code id}, which starts at {@code start}. */
  public SliceWriter write(String id, StreamOffset start, String schemaJson) throws IOException {
    Path path = slicePath(id);
    return new SliceWriter(
        fs, path, create(path), start.text(), schemaJson, length -> sizes.put(path, length));
  }

  /** Bytes of all slices and states that are known to be there; asks no file system. */
  public long bytes() {
    return sizes.values().stream().mapToLong(Long::longValue).sum();
  }

  /** The footer of the slice that ends at {@code end}; null if it is not there. */
  public SliceFooter footer(StreamOffset end) throws IOException {
    return end.slice() == null ? null : SliceFile.footer(fs, slicePath(end.slice()));
  }

  /** The slice {@code id}, which was completed before. */
  public StoredSlice slice(String id) throws IOException {
    SliceFooter footer = SliceFile.footer(fs, slicePath(id));
    if (footer == null) {
      throw new FileNotFoundException("slice " + id);
    }

    return new StoredSlice(id, slicePath(id), footer);
  }

  private Path slicePath(String id) {
    return new Path(slices, checked(id) + ".arrow");
  }

  /**
   * The slices from {@code start} to {@code end}, oldest first; empty if the offsets are equal.
   *
   * @return null if a slice of the chain is missing
   */
  public Deque<StoredSlice> chain(StreamOffset start, StreamOffset end) throws IOException {
    Deque<StoredSlice> chain = new ArrayDeque<>();
    Set<String> seen = new HashSet<>();
    StreamOffset at = end;
    while (!at.equals(start)) {
      SliceFooter footer = footer(at);
      if (footer == null || !seen.add(at.slice())) {
        return null;
      }

      chain.addFirst(new StoredSlice(at.slice(), slicePath(at.slice()), footer));
      at = new StreamOffset(footer.start());
    }

    return chain;
  }

  /** Keeps {@code state} under {@code hash}. */
  public void writeState(String hash, byte[] state) throws IOException {
    Path path = new Path(states, checked(hash));
    try {
      if (fs.getFileStatus(path).getLen() == state.length) {
        return;
      }

      // A writer was cut off; the name tells the content, so writing it again is safe.
      delete(path);
    } catch (FileNotFoundException e) {
      LOG.debug("new state: {}", path);
    }
    try (FSDataOutputStream file = create(path)) {
      file.write(state);
    }
    sizes.put(path, (long) state.length);
    staleStates.remove(hash);
  }

  /** The state that {@code offset} names; null if it names none or it is gone. */
  public byte[] readState(StreamOffset offset) throws IOException {
    return offset.state() == null ? null : read(new Path(states, checked(offset.state())));
  }

  /** Drops every slice up to {@code end}, oldest first, whether or not that was asked before. */
  public void dropSlices(StreamOffset end) throws IOException {
    Deque<StoredSlice> chain = new ArrayDeque<>();
    Set<String> seen = new HashSet<>();
    StreamOffset at = end;
    SliceFooter footer = footer(at);
    while (footer != null && seen.add(at.slice())) {
      chain.addFirst(new StoredSlice(at.slice(), slicePath(at.slice()), footer));
      at = new StreamOffset(footer.start());
      footer = footer(at);
    }
    // Were the newest to go first and the rest not at all, nothing would lead to the rest.
    for (StoredSlice slice : chain) {
      delete(slice.path());
      String state = new StreamOffset(slice.footer().start()).state();
      if (state != null) {
        staleStates.add(state);
      }
    }
  }

  /**
   * Drops all that a stream which stands at {@code start}, with no batch pending, does not need:
   * slices and states before it, and from time to time what is left of streams that were cut off.
   *
   * @param nowMs the current time, in milliseconds since 1970
   */
  public void dropBefore(StreamOffset start, long nowMs) throws IOException {
    dropSlices(start);
    for (String state : staleStates) {
      if (!state.equals(start.state())) {
        delete(new Path(states, checked(state)));
      }
    }
    staleStates.clear();
    if (lastSweep == Long.MIN_VALUE || nowMs - lastSweep >= SWEEP_INTERVAL_MS) {
      lastSweep = nowMs;
      sweep(slices, null, nowMs);
      sweep(states, start.state(), nowMs);
    }
  }

  private void sweep(Path folder, String kept, long nowMs) throws IOException {
    for (FileStatus file : fs.listStatus(folder)) {
      boolean old = nowMs - file.getModificationTime() > ORPHAN_AGE_MS;
      if (file.isFile() && old && !file.getPath().getName().equals(kept)) {
        LOG.info("removing an orphan of the slice store: {}", file.getPath());
        delete(file.getPath());
      }
    }
  }

  private void delete(Path path) throws IOException {
    fs.delete(path, false);
    sizes.remove(path);
  }

  private void claim(Path path, SliceOwner owner) throws IOException {
    if (mark(path, owner)) {
      return;
    }

    ObjectNode json = parse(read(path));
    if (json == null) {
      // The driver that marked the store was cut off while it wrote.
      fs.delete(path, false);
      mark(path, owner);
      json = parse(read(path));
    }
    SliceOwner found = SliceOwner.of(json);
    if (!owner.mayUse(found)) {
      throw LakeflowException.configInvalid(
          "the slice store " + path.getParent() + " belongs to " + found + ", this is " + owner
              + "; use a new checkpoint or another folder in option 'sliceStore'");
    }
  }

  private boolean mark(Path path, SliceOwner owner) throws IOException {
    try (FSDataOutputStream file = create(path)) {
      file.write(Json.bytes(owner.toJson()));
      return true;
    } catch (FileAlreadyExistsException e) {
      return false;
    }
  }

  private static ObjectNode parse(byte[] bytes) {
    return bytes == null ? null : Json.parse(bytes);
  }

  /** The content of a small file; null if it is not there or damaged. */
  private byte[] read(Path path) throws IOException {
    try (FSDataInputStream file = fs.open(path)) {
      return file.readAllBytes();
    } catch (FileNotFoundException e) {
      return null;
    } catch (ChecksumException e) {
      LOG.warn("a file of the slice store is damaged: {}", path, e);
      return null;
    }
  }

  private FSDataOutputStream create(Path path) throws IOException {
    return fs.create(
        path,
        FILE_MODE,
        false,
        BUFFER_BYTES,
        fs.getDefaultReplication(path),
        fs.getDefaultBlockSize(path),
        null);
  }

  private static String checked(String name) {
    if (!NAME.matcher(name).matches()) {
      byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
      throw LakeflowException.offsetInvalid(
          "the offset names a file that cannot be one of the slice store (" + bytes.length
              + " bytes)");
    }

    return name;
  }
}
