package lakeflow.connect.spark;

import java.util.List;
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

  /** Refuses a schema that rows of the table cannot be read as; one with fewer columns is fine. */
  static void requireReadable(TableDescription description, StructType given) {
    StructType declared = parse(description);
    if (given.equals(declared)) {
      return;
    }

    List<String> differences = TypeMapping.differencesOfExisting(declared, given);
    if (!differences.isEmpty()) {
      throw LakeflowException.configInvalid(
          "the given schema does not fit table '" + description.table() + "' of "
              + description.source() + ": " + String.join("; ", differences));
    }

    if (given.length() < declared.length()) {
      LOG.warn(
          "table has more columns than the given schema: table={} declared={} given={}",
          description.table(), declared.length(), given.length());
    }
  }
}
