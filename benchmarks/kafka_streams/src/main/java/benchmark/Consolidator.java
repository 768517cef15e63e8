package benchmark;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Folds each event into its pair's row and forwards a change where factors or counts differ. */
final class Consolidator implements Processor<String, Event, String, Change> {
  static final String STORE = "pairs";

  private ProcessorContext<String, Change> context;
  private KeyValueStore<String, Row> rows;

  @Override
  public void init(ProcessorContext<String, Change> context) {
    this.context = context;
    rows = context.getStateStore(STORE);
  }

  @Override
  public void process(Record<String, Event> record) {
    Event event = record.value();
    String key = event.applicationId() + "/" + event.processor();
    Row row = rows.get(key);
    if (row == null) {
      row = new Row();
    }
    row.apply(event);
    boolean differs = row.consolidate(event.processor());
    rows.put(key, row);
    if (differs) {
      Change.Cause cause = new Change.Cause(event.eventId(), event.executionId(), event.status());
      Change change =
          new Change(
              event.applicationId(),
              event.processor(),
              row.currentFactors(),
              row.currentCounts(),
              cause);
      context.forward(record.withKey(key).withValue(change));
    }
  }
}
