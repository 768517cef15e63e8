package benchmark;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Map;

/** A lifecycle event, as far as the consolidation reads it. */
@JsonIgnoreProperties(ignoreUnknown = true)
public record Event(
    @JsonProperty("event_id") String eventId,
    @JsonProperty("application_id") String applicationId,
    @JsonProperty("execution_id") String executionId,
    @JsonProperty("processor") String processor,
    @JsonProperty("status") String status,
    @JsonProperty("attempt") int attempt,
    @JsonProperty("occurred_at") String occurredAt,
    @JsonProperty("output") Output output) {

  /** What a completed execution brings. */
  @JsonIgnoreProperties(ignoreUnknown = true)
  public record Output(@JsonProperty("factors") Map<String, Object> factors) {}

  public boolean isEnd() {
    return "completed".equals(status) || "failed".equals(status);
  }

  public Map<String, Object> factors() {
    boolean some = "completed".equals(status) && output != null && output.factors() != null;
    return some ? output.factors() : Map.of();
  }
}
