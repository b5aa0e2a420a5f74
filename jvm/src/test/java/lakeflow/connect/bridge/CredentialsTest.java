package lakeflow.connect.bridge;

import static lakeflow.connect.bridge.Credentials.Configuration.SESSION;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import lakeflow.connect.errors.LakeflowException;
import lakeflow.connect.options.ReadOptions;
import org.junit.jupiter.api.Test;

class CredentialsTest {

  @Test
  void optionsWithoutReferencesStayAsTheyAre() {
    ReadOptions given =
        new ReadOptions(Map.of("SourceName", "github", "Token", "tökén 😀", "owner", "o"));

    assertEquals(given, Credentials.resolve(given, List.of(), SESSION));
  }

  @Test
  void referencesThatLeadNowhereAreNamed() {
    ReadOptions given = new ReadOptions(Map.of("sourceName", "github", "token", "env:HOME"));

    assertEquals(
        "[CONFIG_INVALID] option 'token': reference 'env:HOME' must name a variable that begins"
            + " with LAKEFLOW_, and not with LAKEFLOW_SECRET_ or LAKEFLOW_CONNECTION",
        message(given, List.of()));
  }

  @Test
  void configuredSecretsAreRefusedAndNotShown() {
    ReadOptions given = new ReadOptions(Map.of("sourceName", "github", "Token", "canary"));

    assertEquals(
        "[CONFIG_INVALID] option 'token' stands in the configuration of the session, which others"
            + " can read: give it as a reference, env:LAKEFLOW_NAME or file:/path, or with the"
            + " read",
        message(given, List.of("Token")));
  }

  private static String message(ReadOptions given, List<String> configured) {
    return assertThrows(
            LakeflowException.class, () -> Credentials.resolve(given, configured, SESSION))
        .getMessage();
  }
}
