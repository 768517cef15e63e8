package benchmark;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The state of one application and processor: its executions, and what was last told of them. */
public final class Row {
  @JsonProperty("executions")
  private final Map<String, Execution> executions = new HashMap<>();

  @JsonProperty("factors")
  private Map<String, Object> factors = Map.of();

  @JsonProperty("counts")
  private Counts counts = new Counts(0, 0);

  /** Put an event in: an execution's latest end wins, and a retry in progress undoes no end. */
  public void apply(Event event) {
    Execution held = executions.get(event.executionId());
    Execution next = Execution.of(event);
    boolean wins = held == null || !held.hasEnded() || (next.hasEnded() && held.isBefore(next));
    if (wins) {
      executions.put(event.executionId(), next);
    }
  }

  /** Recompute factors and counts; whether they differ from those last told. */
  public boolean consolidate(String processor) {
    List<Map<String, Object>> outputs =
        executions.entrySet().stream()
            .filter(entry -> entry.getValue().contributes())
            .sorted(
                Comparator.comparing((Map.Entry<String, Execution> e) -> e.getValue().occurredAt())
                    .thenComparing(Map.Entry::getKey))
            .map(entry -> entry.getValue().factors())
            .toList();
    Map<String, Object> next = Consolidation.factors(processor, outputs);
    Counts counted = new Counts(ended("completed"), ended("failed"));
    boolean differs = !next.equals(factors) || !counted.equals(counts);
    factors = next;
    counts = counted;
    return differs;
  }

  public Map<String, Object> currentFactors() {
    return factors;
  }

  public Counts currentCounts() {
    return counts;
  }

  private int ended(String status) {
    return (int) executions.values().stream().filter(one -> one.status().equals(status)).count();
  }
}
