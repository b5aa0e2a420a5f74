package lakeflow.connect.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class NativeSurfaceTest {

  private static final String PREFIX = "Java_lakeflow_connect_bridge_NativeBridge_";
  private static final Map<String, String> JAVA_TYPES =
      Map.of("JByteArray<'l>", "byte[]", "jlong", "long", "jint", "int", "", "void");

  @Test
  void exportedSymbolsAreTheDeclaredNatives() throws Exception {
    byte[] library = Files.readAllBytes(Path.of(System.getProperty(NativeLibrary.PATH_PROPERTY)));
    String text = new String(library, StandardCharsets.ISO_8859_1);
    TreeSet<String> exported = new TreeSet<>();
    Matcher symbol = Pattern.compile("\0" + PREFIX + "(\\w+)\0").matcher(text);
    for (int at = 0; symbol.find(at); at = symbol.end() - 1) {
      exported.add(symbol.group(1));
    }

    assertEquals(declared().keySet(), exported);
  }

  @Test
  void nativesAreImplementedWithTheDeclaredArguments() throws Exception {
    String source = Files.readString(Path.of("rust/jni/src/entry.rs"));
    Map<String, String> implemented = new TreeMap<>();
    Matcher function =
        Pattern.compile("fn " + PREFIX + "(\\w+)<'l>\\(([^)]*)\\)(?: -> ([^{]+?))? \\{")
            .matcher(source);
    while (function.find()) {
      List<String> arguments = new ArrayList<>();
      for (String argument : function.group(2).split(",")) {
        String type = argument.contains(":") ? argument.split(":", 2)[1].trim() : "";
        if (JAVA_TYPES.containsKey(type) && !type.isEmpty()) {
          arguments.add(JAVA_TYPES.get(type));
        }
      }
      String result = function.group(3) == null ? "" : function.group(3).trim();
      implemented.put(function.group(1), JAVA_TYPES.get(result) + arguments);
    }

    assertEquals(declared(), implemented);
  }

  private static Map<String, String> declared() {
    Map<String, String> declared = new TreeMap<>();
    for (Method method : NativeBridge.class.getDeclaredMethods()) {
      if (Modifier.isNative(method.getModifiers())) {
        List<String> arguments = new ArrayList<>();
        for (Class<?> type : method.getParameterTypes()) {
          arguments.add(type.getSimpleName());
        }
        declared.put(method.getName(), method.getReturnType().getSimpleName() + arguments);
      }
    }

    return declared;
  }
}
