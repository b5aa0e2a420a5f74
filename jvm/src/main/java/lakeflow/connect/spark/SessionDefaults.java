package lakeflow.connect.spark;

import java.util.function.Predicate;
import lakeflow.connect.bridge.SourceOptions;
import lakeflow.connect.options.ReadOptions;
import org.apache.spark.sql.RuntimeConfig;
import org.apache.spark.sql.SparkSession;

/** Options from Spark's configuration, which every read of the session is given. */
final class SessionDefaults {

  private static final String PREFIX = "spark.datasource." + LakeflowTableProvider.NAME + ".";

  private SessionDefaults() {}

  /**
   * {@code options} without those defaults that the source does not take: a default may be meant
   * for another source, while an unknown option of the read itself is a mistake.
   */
  static ReadOptions apply(ReadOptions options) {
    RuntimeConfig configuration = SparkSession.active().conf();
    Predicate<String> isDefault =
        name -> options.get(name).equals(configuration.get(PREFIX + name, null));
    String source = options.get(ReadOptions.SOURCE_NAME);
    if (source == null || options.names().stream().noneMatch(isDefault)) {
      return options;
    }

    SourceOptions declared = SourceOptions.of(source);
    return options.without(name -> isDefault.test(name) && !declared.declares(name));
  }
}
