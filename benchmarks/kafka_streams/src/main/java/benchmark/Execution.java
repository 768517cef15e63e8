package benchmark;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Comparator;
import java.util.Map;

/** Where an execution stands: its latest end, or that it is open. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Execution(
    @JsonProperty("status") String status,
    @JsonProperty("attempt") int attempt,
    @JsonProperty("occurred_at") String occurredAt,
    @JsonProperty("event_id") String eventId,
    @JsonProperty("factors") Map<String, Object> factors) {

  // Texts of one format and time zone: they order as the moments do.
  private static final Comparator<Execution> BY_END =
      Comparator.comparingInt(Execution::attempt)
          .thenComparing(Execution::occurredAt)
          .thenComparing(Execution::eventId);

  public static Execution of(Event event) {
    if (!event.isEnd()) {
      return new Execution(event.status(), event.attempt(), null, null, null);
    }
    return new Execution(
        event.status(), event.attempt(), event.occurredAt(), event.eventId(), event.factors());
  }

  @JsonIgnore
  public boolean hasEnded() {
    return occurredAt != null;
  }

  @JsonIgnore
  public boolean contributes() {
    return "completed".equals(status) && factors != null && !factors.isEmpty();
  }

  public boolean isBefore(Execution other) {
    return BY_END.compare(this, other) <= 0;
  }
}
