package lakeflow.connect.spark;

import java.io.Closeable;
import java.io.IOException;
import java.io.Serial;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import lakeflow.connect.arrow.ChunkInputStream;
import lakeflow.connect.store.Chunk;
import lakeflow.connect.store.StoredSlice;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReader;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnarBatch;
import org.apache.spark.util.SerializableConfiguration;

/** Stored slices as the work of tasks. */
final class SlicePartitions {

  private static final long MIN_BYTES = 8L << 20;
  private static final long MAX_BYTES = 64L << 20;
  private static final String LOCAL = "file";

  private SlicePartitions() {}

  /** Runs of batches of {@code slices}, in order, for about {@code tasks} tasks. */
  static List<InputPartition> plan(Iterable<StoredSlice> slices, int tasks) {
    long total = 0;
    for (StoredSlice slice : slices) {
      total += slice.footer().bytes();
    }
    long target = Math.min(MAX_BYTES, Math.max(MIN_BYTES, total / Math.max(1, tasks)));
    List<InputPartition> partitions = new ArrayList<>();
    for (StoredSlice slice : slices) {
      List<Chunk> run = new ArrayList<>();
      long bytes = 0;
      for (Chunk batch : slice.footer().batches()) {
        if (bytes > 0 && bytes + batch.length() > target) {
          partitions.add(stored(slice, run));
          run = new ArrayList<>();
          bytes = 0;
        }
        run.add(batch);
        bytes += batch.length();
      }
      if (!run.isEmpty()) {
        partitions.add(stored(slice, run));
      }
    }

    return partitions;
  }

  /** Whether tasks can open the files: a local file system is the driver's own. */
  static boolean readableByTasks(Collection<StoredSlice> slices, boolean localMaster) {
    return localMaster
        || slices.stream().map(s -> s.path().toUri().getScheme()).noneMatch(LOCAL::equals);
  }

  /** The same partitions with their batches in them, for executors that cannot see the store. */
  static List<InputPartition> carried(List<InputPartition> partitions, Configuration configuration)
      throws IOException {
    List<InputPartition> carried = new ArrayList<>();
    for (InputPartition partition : partitions) {
      Stored stored = (Stored) partition;
      ArrayList<byte[]> chunks = new ArrayList<>();
      try (StoredChunks source = new StoredChunks(stored, configuration)) {
        for (byte[] chunk = source.next(); chunk != null; chunk = source.next()) {
          chunks.add(chunk);
        }
      }
      carried.add(new Carried(chunks));
    }

    return carried;
  }

  private static Stored stored(StoredSlice slice, List<Chunk> batches) {
    ArrayList<Chunk> chunks = new ArrayList<>();
    chunks.add(slice.footer().schema());
    chunks.addAll(batches);
    return new Stored(slice.path().toString(), chunks);
  }

  /** Batches of a file: the chunk with the schema, then those of the task. */
  private record Stored(String path, ArrayList<Chunk> chunks) implements InputPartition {}

  /** Batches themselves; not shown, they are rows. */
  private record Carried(ArrayList<byte[]> chunks) implements InputPartition {

    @Override
    public String toString() {
      return "Carried[" + chunks.size() + " chunks]";
    }
  }

  /** Reads partitions of either kind. */
  static final class Factory extends ColumnarReaderFactory {

    @Serial private static final long serialVersionUID = 1L;

    private final SerializableConfiguration configuration;
    private final StructType schema;

    Factory(Configuration configuration, StructType schema) {
      this.configuration = new SerializableConfiguration(configuration);
      this.schema = schema;
    }

    @Override
    public PartitionReader<ColumnarBatch> createColumnarReader(InputPartition partition) {
      if (partition instanceof Carried carried) {
        Iterator<byte[]> chunks = carried.chunks().iterator();
        return new ArrowPartitionReader(
            () -> chunks.hasNext() ? chunks.next() : null, () -> {}, schema);
      }

      StoredChunks chunks = new StoredChunks((Stored) partition, configuration.value());
      return new ArrowPartitionReader(chunks, chunks, schema);
    }
  }

  /** Reads the chunks of a file; opens it for the first one. */
  private static final class StoredChunks implements ChunkInputStream.Chunks, Closeable {

    private final Path path;
    private final Iterator<Chunk> chunks;
    private final Configuration configuration;
    private FSDataInputStream file;

    private StoredChunks(Stored partition, Configuration configuration) {
      this.path = new Path(partition.path());
      this.chunks = partition.chunks().iterator();
      this.configuration = configuration;
    }

    @Override
    public byte[] next() throws IOException {
      if (!chunks.hasNext()) {
        return null;
      }

      if (file == null) {
        file = path.getFileSystem(configuration).open(path);
      }

      return chunks.next().read(file, path.toString());
    }

    @Override
    public void close() throws IOException {
      if (file != null) {
        file.close();
      }
    }
  }
}
