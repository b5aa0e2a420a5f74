package lakeflow.connect.arrow;

import org.apache.arrow.vector.ValueVector;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.complex.MapVector;
import org.apache.arrow.vector.complex.StructVector;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.vectorized.ColumnVector;
import org.apache.spark.sql.vectorized.ColumnarArray;
import org.apache.spark.sql.vectorized.ColumnarMap;

/** Structs, lists and maps whose inner columns were mapped on their own. */
final class NestedColumns {

  private NestedColumns() {}

  private abstract static class Nested extends Column {

    private final ValueVector vector;

    Nested(DataType type, ValueVector vector) {
      super(type);
      this.vector = vector;
    }

    @Override
    public final boolean hasNull() {
      return vector.getNullCount() > 0;
    }

    @Override
    public final int numNulls() {
      return vector.getNullCount();
    }

    @Override
    public final boolean isNullAt(int row) {
      return vector.isNull(row);
    }
  }

  /** A struct, or a variant: its two binary parts. */
  static final class OfStruct extends Nested {

    private final ColumnVector[] children;

    OfStruct(DataType type, StructVector vector, ColumnVector[] children) {
      super(type, vector);
      this.children = children;
    }

    @Override
    public ColumnVector getChild(int ordinal) {
      return children[ordinal];
    }
  }

  /** A list. */
  static final class OfList extends Nested {

    private final ListVector vector;
    private final ColumnVector elements;

    OfList(DataType type, ListVector vector, ColumnVector elements) {
      super(type, vector);
      this.vector = vector;
      this.elements = elements;
    }

    @Override
    public ColumnarArray getArray(int row) {
      int start = vector.getElementStartIndex(row);
      return new ColumnarArray(elements, start, vector.getElementEndIndex(row) - start);
    }
  }

  /** A map. */
  static final class OfMap extends Nested {

    private final MapVector vector;
    private final ColumnVector keys;
    private final ColumnVector values;

    OfMap(DataType type, MapVector vector, ColumnVector keys, ColumnVector values) {
      super(type, vector);
      this.vector = vector;
      this.keys = keys;
      this.values = values;
    }

    @Override
    public ColumnarMap getMap(int row) {
      int start = vector.getElementStartIndex(row);
      return new ColumnarMap(keys, values, start, vector.getElementEndIndex(row) - start);
    }
  }
}
