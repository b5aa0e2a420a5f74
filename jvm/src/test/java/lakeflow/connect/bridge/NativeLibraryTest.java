package lakeflow.connect.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.List;
import lakeflow.connect.errors.LakeflowException;
import org.junit.jupiter.api.Test;

class NativeLibraryTest {

  @Test
  void platformsHaveOneName() {
    String[][] cases = {
      {"Linux", "amd64", "linux-x86_64"},
      {"Linux", "aarch64", "linux-aarch64"},
      {"Mac OS X", "aarch64", "macos-aarch64"},
      {"Windows Server 2022", "amd64", "windows-x86_64"},
      {"FreeBSD", "riscv64", "freebsd-riscv64"},
    };
    for (String[] names : cases) {
      assertEquals(names[2], NativeLibrary.platform(names[0], names[1]));
    }
  }

  @Test
  void foreignPlatformIsToldWhichOnesTheJarHolds() {
    LakeflowException error = NativeLibrary.missing("macos-aarch64", List.of("linux-x86_64"));

    assertEquals("UNSUPPORTED", error.code());
    assertEquals(
        "[UNSUPPORTED] no native library for macos-aarch64; this jar holds: linux-x86_64; another"
            + " one can be named by the system property lakeflow.native.path",
        error.getMessage());
  }

  @Test
  void libraryOfAnotherVersionIsRefused() {
    LakeflowException error =
        assertThrows(
            LakeflowException.class, () -> NativeLibrary.checkVersion("0.1.0", "0.2.0"));

    assertEquals(
        "[UNSUPPORTED] the native library has version 0.1.0, the jar has version 0.2.0",
        error.getMessage());
  }

  @Test
  void secondClassLoaderGetsALibraryOfItsOwnAndItsOwnExceptions() throws Exception {
    NativeLibrary.load();
    ClassLoader other = new Copies(NativeLibraryTest.class.getClassLoader());
    Class<?> library = other.loadClass(NativeLibrary.class.getName());
    assertNotSame(NativeLibrary.class, library);
    library.getMethod("load").invoke(null);

    Class<?> bridge = other.loadClass(NativeBridge.class.getName());
    Method next = bridge.getDeclaredMethod("next", long.class, int.class);
    next.setAccessible(true);
    InvocationTargetException error =
        assertThrows(InvocationTargetException.class, () -> next.invoke(null, 1L, 0));

    Class<?> expected = other.loadClass(LakeflowException.class.getName());
    assertEquals(expected, error.getCause().getClass());
    assertTrue(error.getCause().getMessage().startsWith("[CANCELLED] "));
  }

  /** Defines this project's classes anew and leaves all others to its parent. */
  private static final class Copies extends ClassLoader {

    private Copies(ClassLoader parent) {
      super(parent);
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (!name.startsWith("lakeflow.")) {
        return super.loadClass(name, resolve);
      }

      synchronized (getClassLoadingLock(name)) {
        Class<?> loaded = findLoadedClass(name);
        return loaded != null ? loaded : define(name);
      }
    }

    private Class<?> define(String name) throws ClassNotFoundException {
      try (InputStream in = getResourceAsStream(name.replace('.', '/') + ".class")) {
        if (in == null) {
          throw new ClassNotFoundException(name);
        }

        byte[] bytes = in.readAllBytes();
        return defineClass(name, bytes, 0, bytes.length);
      } catch (IOException e) {
        throw new ClassNotFoundException(name, e);
      }
    }
  }
}
