package lakeflow.connect.spark;

import java.io.IOException;
import java.io.Serial;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import lakeflow.connect.arrow.TypeMapping;
import lakeflow.connect.bridge.NativeStream;
import lakeflow.connect.bridge.ReadTo;
import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.bridge.Wanted;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.internal.FailPoint;
import lakeflow.connect.options.ReadOptions;
import lakeflow.connect.store.SliceOwner;
import lakeflow.connect.store.SliceStore;
import lakeflow.connect.store.StoredSlice;
import lakeflow.connect.store.StreamOffset;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkContext;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReader;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;
import org.apache.spark.sql.connector.read.streaming.MicroBatchStream;
import org.apache.spark.sql.connector.read.streaming.Offset;
import org.apache.spark.sql.connector.read.streaming.ReadAllAvailable;
import org.apache.spark.sql.connector.read.streaming.ReadLimit;
import org.apache.spark.sql.connector.read.streaming.ReadMaxRows;
import org.apache.spark.sql.connector.read.streaming.ReportsSourceMetrics;
import org.apache.spark.sql.connector.read.streaming.SupportsTriggerAvailableNow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnarBatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A stream of a table's changes.
 *
 * <p>The driver reads a slice and stores it before it returns the slice's end; tasks read the
 * stored batches. A batch that Spark has logged is served from the store, never read again.
 */
final class LakeflowMicroBatchStream
    implements MicroBatchStream, SupportsTriggerAvailableNow, ReportsSourceMetrics {

  private static final Logger LOG = LoggerFactory.getLogger(LakeflowMicroBatchStream.class);
  private static final List<String> SHOWN =
      List.of("requests", "retries", "throttled_ms", "records");
  private static final String LAG = "lag_ms";
  private static final String STORED = "slice_store_bytes";

  private final TableDescription description;
  private final ReadOptions options;
  private final StructType schema;
  private final Configuration configuration;
  private final SparkContext context;
  private final NativeStream stream;
  private final SliceStore store;
  private final SliceReading reading;
  private final boolean failOnDataLoss;
  private final Map<StreamOffset, StoredSlice> replacements = new ConcurrentHashMap<>();
  private volatile boolean singleDrain;
  private volatile Offset latest;
  private volatile Map<String, Long> counters = Map.of();
  private volatile Long lagMs;
  private Map<String, Long> reported = Map.of();

  private LakeflowMicroBatchStream(
      TableDescription description,
      ReadOptions options,
      StructType schema,
      SparkContext context,
      NativeStream stream,
      SliceStore store) {
    this.description = description;
    this.options = options;
    this.schema = schema;
    this.configuration = context.hadoopConfiguration();
    this.context = context;
    this.stream = stream;
    this.store = store;
    this.reading = new SliceReading(stream, store, description.schemaJson());
    this.failOnDataLoss = options.flag(ReadOptions.FAIL_ON_DATA_LOSS, true);
  }

  /** Opens a stream whose folder under the checkpoint is {@code checkpoint}. */
  static LakeflowMicroBatchStream open(
      TableDescription description, ReadOptions options, StructType schema, String checkpoint) {
    SparkContext context = SparkSession.active().sparkContext();
    NativeStream stream = NativeStream.open(options);
    try {
      String elsewhere = options.get(ReadOptions.SLICE_STORE);
      boolean moved = elsewhere != null && !elsewhere.isBlank();
      // A folder under the checkpoint has one stream by nature and may move with the checkpoint.
      String id = moved ? digest(checkpoint) : "checkpoint";
      SliceStore store =
          SliceStore.open(
              context.hadoopConfiguration(),
              moved ? elsewhere.trim() : checkpoint,
              new SliceOwner(description.source(), description.table(), id));
      return new LakeflowMicroBatchStream(description, options, schema, context, stream, store);
    } catch (IOException e) {
      stream.close();
      throw new UncheckedIOException("cannot open the slice store", e);
    } catch (RuntimeException e) {
      stream.close();
      throw e;
    }
  }

  @Override
  public void prepareForTriggerAvailableNow() {
    singleDrain = true;
  }

  @Override
  public ReadLimit getDefaultReadLimit() {
    return ReadLimit.maxRows(stream.defaultLimit());
  }

  @Override
  public Offset initialOffset() {
    return new LakeflowOffset(StreamOffset.BEGINNING);
  }

  @Override
  public Offset deserializeOffset(String json) {
    return new LakeflowOffset(new StreamOffset(json));
  }

  @Override
  public Offset latestOffset() {
    throw new UnsupportedOperationException("latestOffset needs a start and a limit");
  }

  @Override
  public Offset latestOffset(Offset startOffset, ReadLimit limit) {
    StreamOffset start = value(startOffset);
    try {
      dropBefore(start);
      // One batch of everything cannot be read in two ways.
      String leap =
          limit instanceof ReadAllAvailable ? null : stream.leap(start.text(), singleDrain);
      if (leap != null) {
        latest = new LakeflowOffset(new StreamOffset(leap));
        return latest;
      }

      SliceReading.Result result = reading.read(start, ReadTo.limit(rows(limit), singleDrain));
      result.end().warnings().forEach(warning -> LOG.warn("{}: {}", description.name(), warning));
      counters = result.end().metrics();
      lagMs = result.end().lagMs();
      latest = new LakeflowOffset(new StreamOffset(result.end().offset()));
      FailPoint.reach("latest_offset_returning");

      return latest;
    } catch (IOException e) {
      throw new UncheckedIOException("cannot store a slice of " + description.name(), e);
    }
  }

  @Override
  public Offset reportLatestOffset() {
    return latest;
  }

  @Override
  public InputPartition[] planInputPartitions(Offset startOffset, Offset endOffset) {
    FailPoint.reach("planned");
    StreamOffset start = value(startOffset);
    StreamOffset end = value(endOffset);
    stream.checkRange(start.text(), end.text());
    if (end.bySplit()) {
      return stream.splits(start.text(), end.text(), context.defaultParallelism()).stream()
          .map(LakeflowBatch.Share::new)
          .toArray(InputPartition[]::new);
    }

    try {
      Collection<StoredSlice> slices = slices(start, end);
      slices.forEach(this::requireReadable);
      List<InputPartition> partitions =
          SlicePartitions.plan(slices, context.defaultParallelism());
      if (!SlicePartitions.readableByTasks(slices, context.isLocal())) {
        partitions = SlicePartitions.carried(partitions, configuration);
      }

      return partitions.toArray(InputPartition[]::new);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the slices of " + description.name(), e);
    }
  }

  @Override
  public PartitionReaderFactory createReaderFactory() {
    Wanted columns = Wanted.columns(List.of(schema.fieldNames()));
    return new EitherFactory(
        new SlicePartitions.Factory(configuration, schema),
        new LakeflowBatch.Factory(options, columns, schema));
  }

  /** Reads stored batches, or what tasks ask for themselves. */
  private static final class EitherFactory extends ColumnarReaderFactory {

    @Serial private static final long serialVersionUID = 1L;

    private final PartitionReaderFactory slices;
    private final PartitionReaderFactory splits;

    private EitherFactory(PartitionReaderFactory slices, PartitionReaderFactory splits) {
      this.slices = slices;
      this.splits = splits;
    }

    @Override
    public PartitionReader<ColumnarBatch> createColumnarReader(InputPartition partition) {
      boolean split = partition instanceof LakeflowBatch.Share;
      return (split ? splits : slices).createColumnarReader(partition);
    }
  }

  @Override
  public void commit(Offset end) {
    FailPoint.reach("commit_entered");
    replacements.clear();
    try {
      store.dropSlices(value(end));
    } catch (IOException e) {
      LOG.warn("cannot remove slices that were committed: {}", description.name(), e);
    }
  }

  @Override
  public void stop() {
    stream.close();
  }

  /** Cached counters: asking the service here would delay every progress report. */
  @Override
  public Map<String, String> metrics(Optional<Offset> latestConsumedOffset) {
    Map<String, String> shown = new TreeMap<>();
    for (String name : SHOWN) {
      shown.put(name, Long.toString(counters.getOrDefault(name, 0L)));
    }
    shown.put(STORED, Long.toString(store.bytes()));
    if (lagMs != null) {
      shown.put(LAG, lagMs.toString());
    }

    return shown;
  }

  /** What was counted since this was last asked. */
  synchronized Map<String, Long> newCounts() {
    Map<String, Long> now = counters;
    Map<String, Long> since = new TreeMap<>();
    now.forEach((name, count) -> since.put(name, count - reported.getOrDefault(name, 0L)));
    reported = now;
    return since;
  }

  @Override
  public String toString() {
    return "lakeflow_connect " + description.name();
  }

  // Spark asks for what comes after an offset only once the batch that ends there is committed.
  private void dropBefore(StreamOffset start) {
    try {
      store.dropBefore(start, System.currentTimeMillis());
    } catch (IOException e) {
      LOG.warn("cannot clean the slice store up: {}", description.name(), e);
    }
  }

  private Collection<StoredSlice> slices(StreamOffset start, StreamOffset end)
      throws IOException {
    Collection<StoredSlice> chain = store.chain(start, end);
    if (chain != null) {
      return chain;
    }

    if (failOnDataLoss) {
      throw LakeflowException.offsetInvalid(
          "a slice of " + description.name() + " that the checkpoint names is not in the slice"
              + " store; restore it, start with a new checkpoint, or set option '"
              + ReadOptions.FAIL_ON_DATA_LOSS
              + "' to false to read again from the start of the batch, which may repeat rows");
    }

    StoredSlice replacement = replacements.get(end);
    if (replacement == null) {
      LOG.warn(
          "a slice is missing; its batch is read again, rows may come twice: {}",
          description.name());
      SliceReading.Result result = reading.read(start, ReadTo.again(end.text()));
      if (result.end().rows() == 0) {
        return List.of();
      }

      replacement = store.slice(result.id());
      replacements.put(end, replacement);
    }

    return List.of(replacement);
  }

  private void requireReadable(StoredSlice slice) {
    StructType stored = (StructType) DataType.fromJson(slice.footer().schemaJson());
    List<String> differences = TypeMapping.differences(stored, schema);
    if (!differences.isEmpty()) {
      throw LakeflowException.dataInvalid(
          "rows of " + description.name() + " were stored with another schema: "
              + String.join("; ", differences)
              + "; restore the schema for one run, or start with a new checkpoint");
    }
  }

  private static StreamOffset value(Offset offset) {
    return offset instanceof LakeflowOffset known
        ? known.value()
        : new StreamOffset(offset.json());
  }

  private static Long rows(ReadLimit limit) {
    if (limit instanceof ReadAllAvailable) {
      return null;
    }

    if (limit instanceof ReadMaxRows rows) {
      return rows.maxRows();
    }

    throw LakeflowException.unsupported("the read limit " + limit + " is not known");
  }

  private static String digest(String text) {
    try {
      MessageDigest sha = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(sha.digest(text.getBytes(StandardCharsets.UTF_8)), 0, 16);
    } catch (NoSuchAlgorithmException e) {
      throw LakeflowException.internal("SHA-256 is missing", e);
    }
  }
}
