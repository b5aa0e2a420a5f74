package lakeflow.connect.internal;

/**
 * A named moment at which the testing build can end the process; in this build it does nothing.
 */
public final class FailPoint {

  private FailPoint() {}

  /** Marks the moment {@code name}. */
  public static void reach(String name) {}
}
