package lakeflow.connect.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import lakeflow.connect.store.Chunk;
import lakeflow.connect.store.SliceFooter;
import lakeflow.connect.store.StoredSlice;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;

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
