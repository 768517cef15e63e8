package benchmark;

import com.fasterxml.jackson.annotation.JsonProperty;

/** How many executions completed and how many failed: a failed execution is active, and subscribers hear of it. */
public record Counts(@JsonProperty("completed") int completed, @JsonProperty("failed") int failed) {}
