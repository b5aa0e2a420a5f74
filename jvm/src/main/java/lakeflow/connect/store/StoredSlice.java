package lakeflow.connect.store;

import org.apache.hadoop.fs.Path;

/**
 * A slice that is there.
 *
 * @param id its id
 * @param path its file
 * @param footer what the file says of itself
 */
public record StoredSlice(String id, Path path, SliceFooter footer) {}
