package benchmark;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Map;

/** What is published where the factors or the counts of a pair differ. */
public record Change(
    @JsonProperty("application_id") String applicationId,
    @JsonProperty("processor") String processor,
    @JsonProperty("factors") Map<String, Object> factors,
    @JsonProperty("executions") Counts executions,
    @JsonProperty("cause") Cause cause) {

  /** The event behind it. */
  public record Cause(
      @JsonProperty("event_id") String eventId,
      @JsonProperty("execution_id") String executionId,
      @JsonProperty("status") String status) {}
}
