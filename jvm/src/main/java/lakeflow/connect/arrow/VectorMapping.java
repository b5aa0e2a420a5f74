package lakeflow.connect.arrow;

import java.util.List;
import lakeflow.connect.errors.LakeflowException;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.NullVector;
import org.apache.arrow.vector.ValueVector;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.complex.MapVector;
import org.apache.arrow.vector.complex.StructVector;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ArrowColumnVector;
import org.apache.spark.sql.vectorized.ColumnVector;

/** Arrow vectors as columns of a schema: by name, numbers widened, what is missing null. */
final class VectorMapping {

  private VectorMapping() {}

  /** One column for each field of {@code schema}. */
  static ColumnVector[] map(List<FieldVector> vectors, StructType schema) {
    StructField[] fields = schema.fields();
    ColumnVector[] columns = new ColumnVector[fields.length];
    for (int i = 0; i < fields.length; i++) {
      String name = fields[i].name();
      ValueVector found = null;
      for (FieldVector vector : vectors) {
        if (vector.getName().equals(name)) {
          found = vector;
        }
      }
      columns[i] = column(name, found, fields[i].dataType(), fields[i].nullable());
    }

    return columns;
  }

  private static ColumnVector column(
      String path, ValueVector vector, DataType type, boolean nullable) {
    if (vector == null) {
      if (!nullable) {
        throw LakeflowException.dataInvalid(
            "column '" + path + "' is missing in the data and may not be null");
      }

      return new NullColumn(type);
    }

    if (vector instanceof NullVector) {
      return new NullColumn(type);
    }

    if (vector instanceof StructVector struct) {
      return structColumn(path, struct, type);
    }

    if (vector instanceof MapVector map && type instanceof MapType wanted) {
      StructVector entries = (StructVector) map.getDataVector();
      ColumnVector keys =
          column(path + ".key", entries.getChild(MapVector.KEY_NAME), wanted.keyType(), false);
      ColumnVector values =
          column(path + ".value", entries.getChild(MapVector.VALUE_NAME), wanted.valueType(), true);
      return new NestedColumns.OfMap(type, map, keys, values);
    }

    if (vector instanceof ListVector list && type instanceof ArrayType wanted) {
      ColumnVector elements =
          column(path + ".element", list.getDataVector(), wanted.elementType(), true);
      return new NestedColumns.OfList(type, list, elements);
    }

    return leafColumn(path, vector, type);
  }

  private static ColumnVector structColumn(String path, StructVector vector, DataType type) {
    StructField[] fields;
    if (type instanceof StructType struct) {
      fields = struct.fields();
    } else if (type.typeName().equals("variant")) {
      fields =
          new StructField[] {
            DataTypes.createStructField("value", DataTypes.BinaryType, false),
            DataTypes.createStructField("metadata", DataTypes.BinaryType, false)
          };
    } else {
      throw mismatch(path, "struct", type);
    }

    ColumnVector[] children = new ColumnVector[fields.length];
    for (int i = 0; i < fields.length; i++) {
      String name = fields[i].name();
      children[i] =
          column(
              path + "." + name,
              vector.getChild(name),
              fields[i].dataType(),
              fields[i].nullable());
    }

    return new NestedColumns.OfStruct(type, vector, children);
  }

  private static ColumnVector leafColumn(String path, ValueVector vector, DataType type) {
    ArrowColumnVector column = new ArrowColumnVector(vector);
    DataType found = column.dataType();
    if (found.equals(type)) {
      return column;
    }

    if (TypeMapping.widens(found, type)) {
      return new WideColumn(type, column);
    }

    throw mismatch(path, found.simpleString(), type);
  }

  private static LakeflowException mismatch(String path, String found, DataType wanted) {
    return LakeflowException.dataInvalid(
        "column '" + path + "' is " + found + " in the data and cannot be read as "
            + wanted.simpleString());
  }
}
