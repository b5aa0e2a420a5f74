package lakeflow.connect.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import lakeflow.connect.arrow.IpcMessage;
import lakeflow.connect.bridge.NativeReader;
import lakeflow.connect.bridge.Wanted;
import lakeflow.connect.options.ReadOptions;
import lakeflow.connect.store.Chunk;
import lakeflow.connect.store.SliceFooter;
import lakeflow.connect.store.SliceOwner;
import lakeflow.connect.store.SliceStore;
import lakeflow.connect.store.SliceWriter;
import lakeflow.connect.store.StoredSlice;
import lakeflow.connect.store.StreamOffset;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReader;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnarBatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SlicePartitionsTest {

  private static final int MIB = 1 << 20;

  @Test
  void batchesAreSharedOutByTasksWithinBounds() {
    // batches, MiB of each, tasks, partitions
    int[][] cases = {
      {0, 1, 4, 0},
      {1, 1, 4, 1},
      {4, 1, 4, 1},
      {16, 1, 4, 2},
      {64, 1, 4, 4},
      {20, 8, 1, 3},
      {3, 100, 1, 3},
    };
    for (int[] numbers : cases) {
      List<StoredSlice> slices = List.of(slice("a", numbers[0], numbers[1] * MIB));
      assertEquals(
          numbers[3], SlicePartitions.plan(slices, numbers[2]).size(), List.of(slices).toString());
    }
  }

  @Test
  void partitionsDoNotCrossFiles() {
    List<StoredSlice> slices = List.of(slice("a", 1, MIB), slice("b", 1, MIB));

    assertEquals(2, SlicePartitions.plan(slices, 1).size());
  }

  @Test
  void filesOfTheDriverOnlyAreCarried() {
    // scheme, local master, readable
    Object[][] cases = {
      {"file", true, true}, {"file", false, false}, {"hdfs", false, true}, {"s3a", true, true},
    };
    for (Object[] values : cases) {
      StoredSlice slice = new StoredSlice("a", new Path(values[0] + ":///s/a.arrow"), null);
      assertEquals(
          values[2], SlicePartitions.readableByTasks(List.of(slice), (boolean) values[1]));
    }
    assertEquals(true, SlicePartitions.readableByTasks(List.of(), false));
  }

  @Test
  void carriedAndStoredPartitionsGiveTheSameRows(@TempDir java.nio.file.Path folder)
      throws Exception {
    Configuration configuration = new Configuration();
    SliceStore store =
        SliceStore.open(configuration, folder.toString(), new SliceOwner("s", "t", "x"));
    Map<String, String> options =
        Map.of("sourceName", "endless", "tableName", "items", "pages", "3");
    Wanted wanted = Wanted.columns(List.of("id"));
    try (NativeReader reader = NativeReader.batch(new ReadOptions(options), wanted, null);
        SliceWriter writer = store.write("a", StreamOffset.BEGINNING, "{}")) {
      writer.write(reader.next(), 0);
      for (byte[] chunk = reader.next(); chunk != null; chunk = reader.next()) {
        writer.write(chunk, IpcMessage.rows(chunk));
      }
      writer.complete();
    }

    List<InputPartition> stored = SlicePartitions.plan(List.of(store.slice("a")), 1);
    List<InputPartition> carried = SlicePartitions.carried(stored, configuration);
    List<Long> expected = LongStream.range(0, 1500).boxed().toList();
    assertEquals(expected, ids(stored, configuration));
    assertEquals(expected, ids(carried, configuration));
  }

  private static List<Long> ids(List<InputPartition> partitions, Configuration configuration)
      throws IOException {
    PartitionReaderFactory factory =
        new SlicePartitions.Factory(configuration, StructType.fromDDL("id bigint"));
    List<Long> ids = new ArrayList<>();
    for (InputPartition partition : partitions) {
      try (PartitionReader<ColumnarBatch> reader = factory.createColumnarReader(partition)) {
        while (reader.next()) {
          reader.get().rowIterator().forEachRemaining(row -> ids.add(row.getLong(0)));
        }
      }
    }

    return ids;
  }

  private static StoredSlice slice(String id, int batches, int bytes) {
    List<Chunk> chunks = new ArrayList<>();
    for (int i = 0; i < batches; i++) {
      chunks.add(new Chunk((long) i * bytes, bytes, 1, 0));
    }
    SliceFooter footer =
        new SliceFooter(
            "{}", "{}", batches, (long) batches * bytes, new Chunk(0, 1, 0, 0), chunks);
    return new StoredSlice(id, new Path("/slices/" + id), footer);
  }
}
