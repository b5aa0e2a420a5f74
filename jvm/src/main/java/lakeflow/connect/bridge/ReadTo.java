package lakeflow.connect.bridge;

/**
 * Where a slice ends.
 *
 * @param limit records after which to stop at the next safe point; null for all there is
 * @param singleDrain whether the stream ends once it has caught up
 * @param upto offset text past which nothing is wanted; null for none
 */
public record ReadTo(Long limit, boolean singleDrain, String upto) {

  /** A new slice. */
  public static ReadTo limit(Long limit, boolean singleDrain) {
    return new ReadTo(limit, singleDrain, null);
  }

  /** What was read before, up to the offset {@code end}. */
  public static ReadTo again(String end) {
    return new ReadTo(null, false, end);
  }
}
