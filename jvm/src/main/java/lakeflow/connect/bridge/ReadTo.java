package lakeflow.connect.bridge;

/**
 * Where a slice ends.
 *
 * @param limit records after which to stop at the next safe point; null for all there is
 * @param singleDrain whether the stream ends once it has caught up
 */
public record ReadTo(Long limit, boolean singleDrain) {}
