package lakeflow.connect.bridge;

/**
 * The native functions; every one may throw {@link lakeflow.connect.errors.LakeflowException}.
 *
 * <p>Text crosses as UTF-8. {@link NativeLibrary#load()} comes first.
 */
final class NativeBridge {

  private NativeBridge() {}

  /**
   * Opens a read and returns its handle at once; what the read meets comes with {@link #next}.
   *
   * @param request JSON with {@code kind}
   * @param blob state of a slice's start, or null
   */
  static native long open(byte[] request, byte[] blob);

  /** Next chunk; empty if there was none within {@code waitMs}, null at the end. */
  static native byte[] next(long handle, int waitMs);

  /** Answers a JSON request with {@code op}, without waiting. */
  static native byte[] call(byte[] request);

  /** Ends a read; harmless if that was done before. */
  static native void close(long handle);
}
