package lakeflow.connect.spark;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import lakeflow.connect.bridge.TableDescription;
import lakeflow.connect.errors.LakeflowException;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.Logger;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.Test;

class SchemasTest {

  private static final String DECLARED =
      "id int not null, price decimal(10,2), user struct<login:string,rank:smallint>,"
          + " tags array<string>";

  @Test
  void schemasThatFitAreReadable() {
    String[] fitting = {
      DECLARED,
      "id bigint, price decimal(12,2)",
      "tags array<string>, user struct<rank:bigint>, id int",
      "",
    };
    for (String given : fitting) {
      assertDoesNotThrow(() -> Schemas.requireReadable(table("t", DECLARED), ddl(given)), given);
    }
  }

  @Test
  void schemasThatDoNotFitNameEveryDifference() {
    String[][] unfit = {
      {"id smallint", "column 'id' is int and is wanted as smallint"},
      {"price decimal(10,1)", "column 'price' is decimal(10,2) and is wanted as decimal(10,1)"},
      {"ID int", "column 'ID' does not exist (it is called 'id')"},
      {"user struct<Rank:smallint>",
        "column 'user.Rank' does not exist (it is called 'rank')"},
      {"tags array<int>, ident int, price decimal(10,2) not null",
        "column 'tags.element' is string and is wanted as int; column 'ident' does not exist;"
            + " column 'price' may be null but is wanted as not null"},
    };
    for (String[] expected : unfit) {
      LakeflowException error =
          assertThrows(
              LakeflowException.class,
              () -> Schemas.requireReadable(table("t", DECLARED), ddl(expected[0])));
      assertEquals(
          "[CONFIG_INVALID] the given schema does not fit table 't' of s: " + expected[1]
              + "; leave the schema out, or correct these columns",
          error.getMessage());
    }
  }

  @Test
  void columnsThatTheTableGainedAreToldOnce() {
    StructType stored = ddl("id int");
    List<String> warnings =
        warnings(
            () -> {
              Schemas.requireReadable(table("gains", "id int"), stored);
              for (int i = 0; i < 3; i++) {
                Schemas.requireReadable(table("gains", "id int, a string"), stored);
              }
              Schemas.requireReadable(table("gains", "id int, a string, b string"), stored);
            });

    String text = "table has columns that the given schema leaves out: table=s.gains columns=";
    assertEquals(List.of(text + "[a]", text + "[a, b]"), warnings);
  }

  private static TableDescription table(String name, String columns) {
    return new TableDescription("s", name, ddl(columns).json(), "", null, Map.of(), Map.of());
  }

  private static StructType ddl(String columns) {
    return columns.isEmpty() ? new StructType() : StructType.fromDDL(columns);
  }

  private static List<String> warnings(Runnable action) {
    List<String> told = new ArrayList<>();
    AbstractAppender appender =
        new AbstractAppender("told", null, null, true, Property.EMPTY_ARRAY) {
          @Override
          public void append(LogEvent event) {
            told.add(event.getMessage().getFormattedMessage());
          }
        };
    Logger logger = (Logger) LogManager.getLogger(Schemas.class);
    appender.start();
    logger.addAppender(appender);
    logger.setLevel(org.apache.logging.log4j.Level.WARN);
    try {
      action.run();
    } finally {
      logger.removeAppender(appender);
    }

    return told;
  }
}
