package lakeflow.connect.spark;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import lakeflow.connect.arrow.TypeMapping;
import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.errors.LakeflowException;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Schemas as the source declares them and as users give them. */
final class Schemas {

  private static final Logger LOG = LoggerFactory.getLogger(Schemas.class);

  /** What was told already, once per process. */
  private static final Set<String> WARNED = ConcurrentHashMap.newKeySet();

  private Schemas() {}

  /** The declared schema as a type of this Spark. */
  static StructType parse(TableDescription description) {
    try {
      return (StructType) DataType.fromJson(description.schemaJson());
    } catch (RuntimeException e) {
      throw LakeflowException.unsupported(
          "table '" + description.table() + "' has a type that this version of Spark lacks: "
              + e.getMessage(),
          e);
    }
  }

  /**
   * Refuses a schema that rows of the table cannot be read as: each column must exist, by exactly
   * this name, with the declared type or a wider one. Columns that it leaves out are told once.
   */
  static void requireReadable(TableDescription description, StructType given) {
    StructType declared = parse(description);
    if (given.equals(declared)) {
      return;
    }

    List<String> differences = TypeMapping.differencesOfExisting(declared, given);
    if (!differences.isEmpty()) {
      throw LakeflowException.configInvalid(
          "the given schema does not fit table '" + description.table() + "' of "
              + description.source() + ": " + String.join("; ", differences)
              + "; leave the schema out, or correct these columns");
    }

    Set<String> leftOut = new LinkedHashSet<>(List.of(declared.fieldNames()));
    leftOut.removeAll(List.of(given.fieldNames()));
    if (!leftOut.isEmpty() && WARNED.add(description.name() + leftOut)) {
      LOG.warn(
          "table has columns that the given schema leaves out: table={} columns={}",
          description.name(), leftOut);
    }
  }
}
