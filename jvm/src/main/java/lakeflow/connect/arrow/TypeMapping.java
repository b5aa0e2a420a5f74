package lakeflow.connect.arrow;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.ByteType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.DoubleType;
import org.apache.spark.sql.types.FloatType;
import org.apache.spark.sql.types.IntegerType;
import org.apache.spark.sql.types.LongType;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.ShortType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/** Which columns can be read as which: the same type or a wider one, fields matched by name. */
public final class TypeMapping {

  private TypeMapping() {}

  /**
   * What keeps rows of {@code from} from being read as {@code to}; empty if nothing does.
   *
   * <p>A column that only {@code from} has is left out; one that only {@code to} has is null, which
   * {@code to} must allow.
   */
  public static List<String> differences(StructType from, StructType to) {
    List<String> found = new ArrayList<>();
    compareFields("", from, to, true, found);
    return found;
  }

  /** As {@link #differences}, where columns that {@code from} lacks are differences too. */
  public static List<String> differencesOfExisting(StructType from, StructType to) {
    List<String> found = new ArrayList<>();
    compareFields("", from, to, false, found);
    return found;
  }

  /** Whether a number of {@code from} can be read as {@code to}, another type, without loss. */
  static boolean widens(DataType from, DataType to) {
    if (from instanceof DecimalType small && to instanceof DecimalType large) {
      return large.scale() >= small.scale()
          && large.precision() - large.scale() >= small.precision() - small.scale();
    }

    if (from instanceof FloatType) {
      return to instanceof DoubleType;
    }

    return width(from) > 0 && width(to) > width(from);
  }

  private static int width(DataType type) {
    if (type instanceof ByteType) {
      return 1;
    }

    if (type instanceof ShortType) {
      return 2;
    }

    if (type instanceof IntegerType) {
      return 4;
    }

    return type instanceof LongType ? 8 : 0;
  }

  private static void compareFields(
      String prefix, StructType from, StructType to, boolean mayLack, List<String> found) {
    for (StructField wanted : to.fields()) {
      String path = prefix + wanted.name();
      StructField field = field(from, wanted.name());
      if (field != null) {
        compare(path, field.dataType(), wanted.dataType(), mayLack, found);
        requireNulls(path, field.nullable(), wanted.nullable(), found);
      } else if (!mayLack) {
        found.add("column '" + path + "' does not exist" + otherCase(from, wanted.name()));
      } else if (!wanted.nullable()) {
        found.add("column '" + path + "' is missing and may not be null");
      }
    }
  }

  private static void compare(
      String path, DataType from, DataType to, boolean mayLack, List<String> found) {
    if (from instanceof StructType inner && to instanceof StructType wanted) {
      compareFields(path + ".", inner, wanted, mayLack, found);
    } else if (from instanceof ArrayType inner && to instanceof ArrayType wanted) {
      compare(path + ".element", inner.elementType(), wanted.elementType(), mayLack, found);
      requireNulls(path + ".element", inner.containsNull(), wanted.containsNull(), found);
    } else if (from instanceof MapType inner && to instanceof MapType wanted) {
      compare(path + ".key", inner.keyType(), wanted.keyType(), mayLack, found);
      compare(path + ".value", inner.valueType(), wanted.valueType(), mayLack, found);
      requireNulls(
          path + ".value", inner.valueContainsNull(), wanted.valueContainsNull(), found);
    } else if (!from.equals(to) && !widens(from, to)) {
      found.add(
          "column '" + path + "' is " + from.simpleString() + " and is wanted as "
              + to.simpleString());
    }
  }

  private static void requireNulls(String path, boolean from, boolean to, List<String> found) {
    if (from && !to) {
      found.add("column '" + path + "' may be null but is wanted as not null");
    }
  }

  private static String otherCase(StructType struct, String name) {
    return Stream.of(struct.fieldNames())
        .filter(name::equalsIgnoreCase)
        .findFirst()
        .map(known -> " (it is called '" + known + "')")
        .orElse("");
  }

  private static StructField field(StructType struct, String name) {
    for (StructField field : struct.fields()) {
      if (field.name().equals(name)) {
        return field;
      }
    }

    return null;
  }
}
