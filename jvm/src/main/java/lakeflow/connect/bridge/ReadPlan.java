package lakeflow.connect.bridge;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import lakeflow.connect.options.ReadOptions;

/**
 * How tasks share a batch read.
 *
 * @param splits what each task reads, as text that native code understands; at least one
 * @param metrics counters of the planning
 */
public record ReadPlan(List<String> splits, Map<String, Long> metrics) {

  /** Plans a read for so many tasks at once; may ask the service where the table begins. */
  public static ReadPlan of(ReadOptions options, Wanted wanted, int slots) {
    ObjectNode request = NativeReader.request("plan", options).put("slots", slots);
    wanted.writeTo(request.putObject("wanted"));
    ObjectNode json = NativeReader.answer(request);
    List<String> splits = new ArrayList<>();
    json.path("splits").forEach(split -> splits.add(split.toString()));

    return new ReadPlan(
        List.copyOf(splits), NativeReader.counters((ObjectNode) json.path("metrics")));
  }
}
