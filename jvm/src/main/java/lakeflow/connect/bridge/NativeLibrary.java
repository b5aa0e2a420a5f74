package lakeflow.connect.bridge;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.TreeSet;
import lakeflow.connect.errors.LakeflowException;

/**
 * Loads the native library, once per class loader.
 *
 * <p>A load that fails may be tried again: a task that is killed here must not spoil the class for
 * the tasks that follow.
 */
public final class NativeLibrary {

  /** System property with the path of the library; takes the place of the one in the jar. */
  public static final String PATH_PROPERTY = "lakeflow.native.path";

  private static final String FILE = "liblakeflow_jni.so";

  private static boolean loaded;

  private NativeLibrary() {}

  /** Loads the library unless that was done before. */
  public static synchronized void load() {
    if (loaded) {
      return;
    }

    String path = System.getProperty(PATH_PROPERTY, "");
    try {
      if (path.isEmpty()) {
        loadResource(platform(System.getProperty("os.name"), System.getProperty("os.arch")));
      } else {
        loadFile(Path.of(path));
      }
      checkVersion(NativeCalls.version(), jarVersion());
      loaded = true;
    } catch (IOException e) {
      throw new UncheckedIOException("cannot unpack the native library", e);
    }
  }

  /** The folder name of a platform, e.g. {@code linux-x86_64}. */
  static String platform(String osName, String osArch) {
    String os = osName.toLowerCase(Locale.ROOT);
    String arch = osArch.toLowerCase(Locale.ROOT);
    String family =
        os.startsWith("mac") ? "macos" : os.startsWith("windows") ? "windows" : os.replace(' ', '_');
    return family
        + "-"
        + switch (arch) {
          case "amd64", "x86_64" -> "x86_64";
          case "arm64", "aarch64" -> "aarch64";
          default -> arch;
        };
  }

  /** The error for a platform that the jar has no library for. */
  static LakeflowException missing(String platform, Iterable<String> held) {
    String list = String.join(", ", held);
    return LakeflowException.unsupported(
        "no native library for "
            + platform
            + "; this jar holds: "
            + (list.isEmpty() ? "none" : list)
            + "; another one can be named by the system property "
            + PATH_PROPERTY);
  }

  /** Refuses a library of another version than the jar's. */
  static void checkVersion(String library, String jar) {
    if (!library.equals(jar)) {
      throw LakeflowException.unsupported(
          "the native library has version " + library + ", the jar has version " + jar);
    }
  }

  private static void loadResource(String platform) throws IOException {
    String resource = "/native/" + platform + "/" + FILE;
    URL url = NativeLibrary.class.getResource(resource);
    if (url == null) {
      throw missing(platform, heldPlatforms());
    }

    try (InputStream library = url.openStream()) {
      loadCopy(library, "resource " + resource);
    }
  }

  private static void loadFile(Path path) throws IOException {
    if (!Files.isRegularFile(path)) {
      throw LakeflowException.configInvalid(
          "system property " + PATH_PROPERTY + " names no file: " + path);
    }

    // A file can be loaded by one class loader only, so each one gets a copy of its own.
    try (InputStream library = Files.newInputStream(path)) {
      loadCopy(library, "file " + path);
    }
  }

  private static void loadCopy(InputStream library, String origin) throws IOException {
    Path folder = Files.createTempDirectory("lakeflow-");
    Path copy = folder.resolve(FILE);
    try {
      Files.copy(library, copy);
      System.load(copy.toString());
    } catch (UnsatisfiedLinkError e) {
      throw LakeflowException.unsupported(
          "cannot load the native library (tried: " + origin + " by way of " + folder + ")", e);
    } finally {
      Files.deleteIfExists(copy);
      Files.deleteIfExists(folder);
    }
  }

  private static Iterable<String> heldPlatforms() throws IOException {
    TreeSet<String> held = new TreeSet<>();
    URL marker = NativeLibrary.class.getResource("/lakeflow/connect/version.properties");
    URLConnection connection = marker == null ? null : marker.openConnection();
    if (connection instanceof JarURLConnection jar) {
      jar.setUseCaches(false);
      try (java.util.jar.JarFile file = jar.getJarFile()) {
        List<String> names = new ArrayList<>();
        file.stream().forEach(entry -> names.add(entry.getName()));
        for (String name : names) {
          if (name.startsWith("native/") && name.endsWith("/" + FILE)) {
            held.add(name.substring("native/".length(), name.lastIndexOf('/')));
          }
        }
      }
    }

    return held;
  }

  private static String jarVersion() throws IOException {
    Properties properties = new Properties();
    try (InputStream in =
        NativeLibrary.class.getResourceAsStream("/lakeflow/connect/version.properties")) {
      if (in == null) {
        throw LakeflowException.internal("the jar does not say its version");
      }

      properties.load(in);
    }

    return properties.getProperty("version");
  }
}
