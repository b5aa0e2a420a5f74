package lakeflow.connect.arrow;

import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnVector;
import org.apache.spark.sql.vectorized.ColumnarArray;
import org.apache.spark.sql.vectorized.ColumnarMap;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * A column without a value in any row.
 *
 * <p>Primitive getters give zero: Spark reads some before it asks whether the row is null.
 */
final class NullColumn extends Column {

  NullColumn(DataType type) {
    super(type);
  }

  @Override
  public boolean hasNull() {
    return true;
  }

  @Override
  public int numNulls() {
    return Integer.MAX_VALUE;
  }

  @Override
  public boolean isNullAt(int row) {
    return true;
  }

  @Override
  public boolean getBoolean(int row) {
    return false;
  }

  @Override
  public byte getByte(int row) {
    return 0;
  }

  @Override
  public short getShort(int row) {
    return 0;
  }

  @Override
  public int getInt(int row) {
    return 0;
  }

  @Override
  public long getLong(int row) {
    return 0;
  }

  @Override
  public float getFloat(int row) {
    return 0;
  }

  @Override
  public double getDouble(int row) {
    return 0;
  }

  @Override
  public ColumnarArray getArray(int row) {
    return null;
  }

  @Override
  public ColumnarMap getMap(int row) {
    return null;
  }

  @Override
  public Decimal getDecimal(int row, int precision, int scale) {
    return null;
  }

  @Override
  public UTF8String getUTF8String(int row) {
    return null;
  }

  @Override
  public byte[] getBinary(int row) {
    return null;
  }

  @Override
  public ColumnVector getChild(int ordinal) {
    return new NullColumn(
        dataType() instanceof StructType struct ? struct.fields()[ordinal].dataType() : dataType());
  }
}
