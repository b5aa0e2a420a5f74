package lakeflow.connect.spark;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import lakeflow.connect.bridge.Credentials;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.RuntimeConfig;
import org.apache.spark.sql.SparkSession;

/** Options of a read that is being planned. */
final class DriverOptions {

  private static final String SESSION_DEFAULTS =
      "spark.datasource." + LakeflowTableProvider.NAME + ".";

  private DriverOptions() {}

  /** The options to read with; references and named connections are followed here, once. */
  static ReadOptions resolve(ReadOptions given) {
    List<String> defaults = sessionDefaults(given, SparkSession.active().conf());
    return Credentials.resolve(given, defaults, Credentials.Configuration.SESSION);
  }

  /** The options to read with, of which {@code configured} stand in a catalog's configuration. */
  static ReadOptions resolve(ReadOptions given, Collection<String> configured) {
    return Credentials.resolve(given, configured, Credentials.Configuration.CATALOG);
  }

  // Spark merges the session's defaults into the options of a read without a mark.
  private static List<String> sessionDefaults(ReadOptions given, RuntimeConfig session) {
    List<String> names = new ArrayList<>();
    given.forEach(
        (name, value) -> {
          if (value.equals(session.get(SESSION_DEFAULTS + name, (String) null))) {
            names.add(name);
          }
        });

    return names;
  }
}
