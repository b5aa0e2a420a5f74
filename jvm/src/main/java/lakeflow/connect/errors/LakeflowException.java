package lakeflow.connect.errors;

/** A failure with a stable code; the message names what failed and what to do. */
public final class LakeflowException extends RuntimeException {

  /** Code of an error about a table that the source does not have. */
  public static final String TABLE_NOT_FOUND = "TABLE_NOT_FOUND";

  private static final long serialVersionUID = 1L;

  private final String code;
  private final String retry;

  /**
   * Creates an exception.
   *
   * @param code as in the error catalogue, e.g. {@code CONFIG_INVALID}
   * @param message one line
   * @param retry {@code never}, {@code backoff}, {@code exhausted}, or {@code after:<milliseconds>}
   */
  public LakeflowException(String code, String message, String retry) {
    super("[" + code + "] " + message);
    this.code = code;
    this.retry = retry;
  }

  private LakeflowException(String code, String message, Throwable cause) {
    super("[" + code + "] " + message, cause);
    this.code = code;
    this.retry = "never";
  }

  /** An option, a schema or a limit that cannot be used. */
  public static LakeflowException configInvalid(String message) {
    return new LakeflowException("CONFIG_INVALID", message, "never");
  }

  /** A stored offset or slice that does not fit this read. */
  public static LakeflowException offsetInvalid(String message) {
    return new LakeflowException("OFFSET_INVALID", message, "never");
  }

  /** A value or column that does not fit. */
  public static LakeflowException dataInvalid(String message) {
    return new LakeflowException("DATA_INVALID", message, "never");
  }

  /** Something that this platform or version cannot do. */
  public static LakeflowException unsupported(String message) {
    return new LakeflowException("UNSUPPORTED", message, "never");
  }

  /** A platform or version that cannot do it, with the reason. */
  public static LakeflowException unsupported(String message, Throwable cause) {
    return new LakeflowException("UNSUPPORTED", message, cause);
  }

  /** A defect of this library. */
  public static LakeflowException internal(String message) {
    return new LakeflowException("INTERNAL", message, "never");
  }

  /** A defect of this library, with its cause. */
  public static LakeflowException internal(String message, Throwable cause) {
    return new LakeflowException("INTERNAL", message, cause);
  }

  /** Stable code, e.g. {@code RATE_LIMITED}. */
  public String code() {
    return code;
  }

  /** {@code never}, {@code backoff}, {@code exhausted}, or {@code after:<milliseconds>}. */
  public String retry() {
    return retry;
  }
}
