package lakeflow.connect.arrow;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.channels.Channels;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import lakeflow.connect.errors.LakeflowException;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.DecimalVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.IntVector;
import org.apache.arrow.vector.NullVector;
import org.apache.arrow.vector.SmallIntVector;
import org.apache.arrow.vector.TinyIntVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.complex.MapVector;
import org.apache.arrow.vector.complex.StructVector;
import org.apache.arrow.vector.complex.impl.UnionListWriter;
import org.apache.arrow.vector.complex.impl.UnionMapWriter;
import org.apache.arrow.vector.ipc.ArrowStreamWriter;
import org.apache.arrow.vector.types.pojo.ArrowType;
import org.apache.arrow.vector.types.pojo.FieldType;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnarArray;
import org.apache.spark.sql.vectorized.ColumnarBatch;
import org.apache.spark.sql.vectorized.ColumnarMap;
import org.junit.jupiter.api.Test;

class ArrowBatchesTest {

  @Test
  void columnsAreReadByNameInTheOrderAskedFor() throws IOException {
    assertEquals("[[x, 2], [null, null]]", rows("text string, int int"));
    assertEquals("[[2], [null]]", rows("int int"));
  }

  @Test
  void numbersAreWidened() throws IOException {
    String[][] cases = {
      {"byte smallint", "1"},
      {"byte int", "1"},
      {"byte bigint", "1"},
      {"short int", "2"},
      {"int bigint", "2"},
      {"float double", "1.5"},
      {"decimal decimal(22,4)", "1.2500"},
    };
    for (String[] expected : cases) {
      assertEquals("[[" + expected[1] + "], [null]]", rows(expected[0]), expected[0]);
    }
  }

  @Test
  void whatIsMissingOrNullIsNull() throws IOException {
    for (String type : List.of("string", "int", "struct<a:int>", "array<int>", "map<string,int>")) {
      assertEquals("[[null], [null]]", rows("absent " + type));
      assertEquals("[[null], [null]]", rows("nothing " + type));
    }
  }

  @Test
  void structsTakeFieldsByNameAndWidenThem() throws IOException {
    assertEquals("[[[7]], [null]]", rows("struct struct<a:int>"));
    assertEquals("[[[null, 7]], [null]]", rows("struct struct<absent:string,a:bigint>"));
  }

  @Test
  void listsAndMapsWidenTheirElements() throws IOException {
    assertEquals("[[[1, 2]], [null]]", rows("list array<int>"));
    assertEquals("[[[1, 2]], [null]]", rows("list array<bigint>"));
    assertEquals("[[{k=5}], [null]]", rows("map map<string,int>"));
    assertEquals("[[{k=5}], [null]]", rows("map map<string,bigint>"));
  }

  @Test
  void noColumnsStillCountRows() throws IOException {
    assertEquals("[[], []]", rows(""));
  }

  @Test
  void otherTypesAreErrorsThatNameColumnAndTypes() {
    String[][] cases = {
      {"text int", "column 'text' is string in the data and cannot be read as int"},
      {"int smallint", "column 'int' is int in the data and cannot be read as smallint"},
      {"struct string", "column 'struct' is struct in the data and cannot be read as string"},
      {
        "struct struct<a:string>",
        "column 'struct.a' is int in the data and cannot be read as string"
      },
      {"absent int not null", "column 'absent' is missing in the data and may not be null"},
    };
    for (String[] expected : cases) {
      LakeflowException error =
          assertThrows(LakeflowException.class, () -> rows(expected[0]), expected[0]);
      assertEquals("[DATA_INVALID] " + expected[1], error.getMessage());
    }
  }

  @Test
  void differencesFollowTheSameRules() {
    StructType stored = StructType.fromDDL("a int, b struct<c:int>, d string not null");
    String[][] cases = {
      {"a bigint, b struct<c:bigint>", ""},
      {"x string", ""},
      {"x string not null", "column 'x' is missing and may not be null"},
      {"a string, b struct<c:smallint>",
        "column 'a' is int and is wanted as string; column 'b.c' is int and is wanted as smallint"},
      {"a int not null", "column 'a' may be null but is wanted as not null"},
    };
    for (String[] expected : cases) {
      List<String> differences =
          TypeMapping.differences(stored, StructType.fromDDL(expected[0]));
      assertEquals(expected[1], String.join("; ", differences));
    }
    assertEquals(
        List.of("column 'x' does not exist", "column 'A' does not exist (it is called 'a')"),
        TypeMapping.differencesOfExisting(stored, StructType.fromDDL("a int, x string, A int")));
  }

  @Test
  void elementsThatMayBeNullAreNotWantedAsNotNull() {
    StructType nullable = new StructType().add("a", new ArrayType(DataTypes.LongType, true));
    StructType filled = new StructType().add("a", new ArrayType(DataTypes.LongType, false));
    StructType map =
        new StructType().add("m", new MapType(DataTypes.StringType, DataTypes.LongType, true));
    StructType filledMap =
        new StructType().add("m", new MapType(DataTypes.StringType, DataTypes.LongType, false));

    assertEquals(
        List.of("column 'a.element' may be null but is wanted as not null"),
        TypeMapping.differences(nullable, filled));
    assertEquals(List.of(), TypeMapping.differences(filled, nullable));
    assertEquals(
        List.of("column 'm.value' may be null but is wanted as not null"),
        TypeMapping.differences(map, filledMap));
  }

  private static String rows(String ddl) throws IOException {
    StructType schema = ddl.isEmpty() ? new StructType() : StructType.fromDDL(ddl);
    List<String> rows = new ArrayList<>();
    try (ArrowBatches batches = new ArrowBatches(new ByteArrayInputStream(stream()), schema)) {
      assertTrue(batches.next());
      ColumnarBatch batch = batches.current();
      batch.rowIterator().forEachRemaining(row -> rows.add(text(row, schema)));
      assertFalse(batches.next());
    }

    return rows.toString();
  }

  private static String text(InternalRow row, StructType schema) {
    List<Object> values = new ArrayList<>();
    StructField[] fields = schema.fields();
    for (int i = 0; i < fields.length; i++) {
      DataType type = fields[i].dataType();
      Object value = row.isNullAt(i) ? null : row.get(i, type);
      if (value instanceof InternalRow inner) {
        value = text(inner, (StructType) type);
      } else if (value instanceof ColumnarArray array) {
        DataType elements = ((ArrayType) type).elementType();
        value = Arrays.toString(array.toObjectArray(elements));
      } else if (value instanceof ColumnarMap map) {
        MapType mapType = (MapType) type;
        value =
            "{" + map.keyArray().get(0, mapType.keyType()) + "="
                + map.valueArray().get(0, mapType.valueType()) + "}";
      }
      values.add(value);
    }

    return values.toString();
  }

  /** Two rows of every kind of column; in the second one all are null. */
  private static byte[] stream() throws IOException {
    try (BufferAllocator allocator = new RootAllocator()) {
      List<FieldVector> vectors = new ArrayList<>();
      IntVector ints = new IntVector("int", allocator);
      ints.setSafe(0, 2);
      vectors.add(ints);
      TinyIntVector bytes = new TinyIntVector("byte", allocator);
      bytes.setSafe(0, 1);
      vectors.add(bytes);
      SmallIntVector shorts = new SmallIntVector("short", allocator);
      shorts.setSafe(0, 2);
      vectors.add(shorts);
      Float4Vector floats = new Float4Vector("float", allocator);
      floats.setSafe(0, 1.5f);
      vectors.add(floats);
      DecimalVector decimals = new DecimalVector("decimal", allocator, 20, 2);
      decimals.setSafe(0, new BigDecimal("1.25"));
      vectors.add(decimals);
      VarCharVector texts = new VarCharVector("text", allocator);
      texts.setSafe(0, new byte[] {'x'});
      vectors.add(texts);
      vectors.add(new NullVector("nothing", 2));
      vectors.add(struct(allocator));
      vectors.add(list(allocator));
      vectors.add(map(allocator));
      vectors.forEach(vector -> vector.setValueCount(2));
      try (VectorSchemaRoot root = new VectorSchemaRoot(vectors)) {
        root.setRowCount(2);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (ArrowStreamWriter writer =
            new ArrowStreamWriter(root, null, Channels.newChannel(out))) {
          writer.writeBatch();
        }

        return out.toByteArray();
      }
    }
  }

  private static StructVector struct(BufferAllocator allocator) {
    StructVector vector = StructVector.empty("struct", allocator);
    IntVector field =
        vector.addOrGet("a", FieldType.nullable(new ArrowType.Int(32, true)), IntVector.class);
    BigIntVector unused =
        vector.addOrGet("z", FieldType.nullable(new ArrowType.Int(64, true)), BigIntVector.class);
    field.setSafe(0, 7);
    unused.setSafe(0, 8);
    vector.setIndexDefined(0);
    return vector;
  }

  private static ListVector list(BufferAllocator allocator) {
    ListVector vector = ListVector.empty("list", allocator);
    UnionListWriter writer = vector.getWriter();
    writer.startList();
    writer.integer().writeInt(1);
    writer.integer().writeInt(2);
    writer.endList();
    writer.setValueCount(1);
    return vector;
  }

  private static MapVector map(BufferAllocator allocator) {
    MapVector vector = MapVector.empty("map", allocator, false);
    UnionMapWriter writer = vector.getWriter();
    writer.startMap();
    writer.startEntry();
    writer.key().varChar().writeVarChar("k");
    writer.value().integer().writeInt(5);
    writer.endEntry();
    writer.endMap();
    return vector;
  }
}
