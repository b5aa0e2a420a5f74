package lakeflow.connect.arrow;

import org.apache.spark.sql.types.ByteType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.IntegerType;
import org.apache.spark.sql.types.ShortType;
import org.apache.spark.sql.vectorized.ColumnVector;

/** A column of numbers read as a wider type. */
final class WideColumn extends Column {

  private final ColumnVector narrow;

  WideColumn(DataType type, ColumnVector narrow) {
    super(type);
    this.narrow = narrow;
  }

  @Override
  public boolean hasNull() {
    return narrow.hasNull();
  }

  @Override
  public int numNulls() {
    return narrow.numNulls();
  }

  @Override
  public boolean isNullAt(int row) {
    return narrow.isNullAt(row);
  }

  @Override
  public short getShort(int row) {
    return (short) getLong(row);
  }

  @Override
  public int getInt(int row) {
    return (int) getLong(row);
  }

  @Override
  public long getLong(int row) {
    DataType type = narrow.dataType();
    if (type instanceof ByteType) {
      return narrow.getByte(row);
    }

    if (type instanceof ShortType) {
      return narrow.getShort(row);
    }

    return type instanceof IntegerType ? narrow.getInt(row) : narrow.getLong(row);
  }

  @Override
  public double getDouble(int row) {
    return narrow.getFloat(row);
  }

  @Override
  public Decimal getDecimal(int row, int precision, int scale) {
    if (narrow.isNullAt(row)) {
      return null;
    }

    DecimalType type = (DecimalType) narrow.dataType();
    Decimal value = narrow.getDecimal(row, type.precision(), type.scale());
    return Decimal.apply(value.toJavaBigDecimal().setScale(scale), precision, scale);
  }
}
