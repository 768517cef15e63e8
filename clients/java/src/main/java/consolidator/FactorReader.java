package consolidator;

import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * The current factors of every application: a snapshot, then what changes, without a gap between
 * the two.
 *
 * <p>A worker writes {@code factors} and {@code factor-changes} in one transaction, but Kafka ends a
 * transaction partition by partition. So the order of the steps in {@link #readSnapshot} matters.
 * Not safe for use by several threads, except {@link #stop}.
 */
public final class FactorReader implements AutoCloseable {
  private static final Duration POLL = Duration.ofMillis(200);
  private static final Duration QUIET = Duration.ofSeconds(1);

  private final Connection connection;
  private final Duration deadline;
  private final Consumer<String> onWaiting;
  private final Admin admin;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final NavigableMap<Factors.Pair, Factors> current = new TreeMap<>();
  private Map<TopicPartition, Long> journalStart = Map.of();

  /**
   * @param deadline how long a wait may last in which no partition moves.
   * @param onWaiting is given a sentence about what is waited for, while nothing moves.
   */
  public FactorReader(Connection connection, Duration deadline, Consumer<String> onWaiting) {
    this.connection = connection;
    this.deadline = deadline;
    this.onWaiting = onWaiting;
    Map<String, Object> settings = new HashMap<>(connection.clientSettings());
    // Java's default is read_uncommitted: it shows records of transactions that are then aborted.
    settings.put("isolation.level", "read_committed");
    // A position that Kafka no longer has is an error. Java's default jumps to the end, past changes.
    settings.put("auto.offset.reset", "none");
    settings.put("enable.auto.commit", false);
    try {
      consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    } catch (KafkaException error) {
      throw Connection.unusable(error);
    }
    admin = Admin.create(connection.clientSettings());
  }

  /** The factors as far as they were read, by application and processor. */
  public Collection<Factors> current() {
    return current.values();
  }

  /** Read {@code factors} as it is, and remember where in {@code factor-changes} to go on. */
  public void readSnapshot() {
    // 1. The last stable offset of the journal. What lies below it is committed, so its record of
    //    `factors` was written before; what lies above it will be read in the tail. The high
    //    watermark would lose a change whose transaction is still open.
    Map<TopicPartition, Long> stable =
        offsets(connection.changesTopic(), OffsetSpec.latest(), IsolationLevel.READ_COMMITTED);
    // 2. Only after all of these answers: the high watermark of `factors`. The stable offset would
    //    lose a record whose marker has not arrived yet although the journal's has.
    Map<TopicPartition, Long> ends =
        offsets(connection.factorsTopic(), OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED);
    Map<TopicPartition, Long> starts =
        offsets(connection.factorsTopic(), OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED);
    // 3. Read up to it, only what is committed.
    seek(starts);
    readTo(ends, this::applySnapshot);
    journalStart = stable;
    seek(journalStart);
  }

  /** Apply the journal up to where it ends now, open transactions included. */
  public void catchUp() {
    Map<TopicPartition, Long> ends =
        offsets(connection.changesTopic(), OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED);
    readTo(ends, record -> applyChange(record, update -> {}));
  }

  /**
   * Wait a moment for changes and apply them.
   *
   * @param onUpdate is given each change, and each erasure, that made a difference.
   * @throws org.apache.kafka.common.errors.WakeupException after {@link #stop}.
   */
  public void poll(Consumer<Update> onUpdate) {
    consumer.poll(POLL).forEach(record -> applyChange(record, onUpdate));
  }

  /** End a wait from another thread. */
  public void stop() {
    consumer.wakeup();
  }

  @Override
  public void close() {
    consumer.close(CloseOptions.timeout(POLL));
    admin.close(POLL);
  }

  /**
   * What a record came to.
   *
   * @param factors the pair's factors; null: the application was erased.
   */
  public record Update(String applicationId, Factors factors) {}

  private void applySnapshot(ConsumerRecord<byte[], byte[]> record) {
    Factors.Pair pair = read(record, () -> Factors.parseKey(record.key()));
    if (record.value() == null) {
      current.remove(pair);
      return;
    }
    current.put(pair, read(record, () -> Factors.decode(record.value())));
  }

  private void applyChange(ConsumerRecord<byte[], byte[]> record, Consumer<Update> onUpdate) {
    String application = read(record, () -> Factors.parseKey(record.key())).applicationId();
    if (record.value() == null) {
      // A tombstone is an erasure of the whole application. Cleared factors are a record.
      if (current.keySet().removeIf(pair -> pair.applicationId().equals(application))) {
        onUpdate.accept(new Update(application, null));
      }
      return;
    }
    Factors change = read(record, () -> Factors.decode(record.value()));
    Factors known = current.get(change.pair());
    if (known == null || change.version().compareTo(known.version()) > 0) {
      current.put(change.pair(), change);
      onUpdate.accept(new Update(application, change));
    }
  }

  private interface Reading<T> {
    T get();
  }

  /** Names the place of a record that cannot be read, and never its content. */
  private static <T> T read(ConsumerRecord<byte[], byte[]> record, Reading<T> reading) {
    try {
      return reading.get();
    } catch (Factors.UnreadableException error) {
      throw new Factors.UnreadableException(
          String.format(
              "%s partition %d offset %d %s",
              record.topic(), record.partition(), record.offset(), error.getMessage()));
    }
  }

  private void seek(Map<TopicPartition, Long> positions) {
    consumer.assign(positions.keySet());
    positions.forEach(consumer::seek);
  }

  /**
   * Read until each position has reached its end. Positions decide, as no record may stand there:
   * markers and aborted records move only the position.
   */
  private void readTo(Map<TopicPartition, Long> ends, Consumer<ConsumerRecord<byte[], byte[]>> apply) {
    Map<TopicPartition, Long> before = Map.of();
    long movedNanos = System.nanoTime();
    long reportedNanos = movedNanos;
    while (true) {
      Map<TopicPartition, Long> positions =
          ends.keySet().stream().collect(Collectors.toMap(place -> place, consumer::position));
      List<TopicPartition> behind =
          ends.keySet().stream().filter(place -> positions.get(place) < ends.get(place)).toList();
      if (behind.isEmpty()) {
        return;
      }
      long now = System.nanoTime();
      if (!positions.equals(before)) {
        before = positions;
        movedNanos = now;
      } else if (now - movedNanos > deadline.toNanos()) {
        throw new KafkaException("nothing moved for " + deadline.toSeconds() + " s: " + waitedFor(behind, ends));
      } else if (now - movedNanos > QUIET.toNanos() && now - reportedNanos > QUIET.toNanos()) {
        reportedNanos = now;
        onWaiting.accept("waiting: " + waitedFor(behind, ends));
      }
      consumer.poll(POLL).forEach(apply);
    }
  }

  /** What holds a partition back: a consumer learns nothing about it from Kafka. */
  private String waitedFor(List<TopicPartition> behind, Map<TopicPartition, Long> ends) {
    TopicPartition place = behind.get(0);
    long stable = offsets(place.topic(), OffsetSpec.latest(), IsolationLevel.READ_COMMITTED).get(place);
    long end = ends.get(place);
    String found =
        String.format(
            "%s partition %d has the stable offset %d and is read to %d",
            place.topic(), place.partition(), stable, end);
    return stable < end
        ? found + ": a transaction before " + end + " is open"
        : found + ": only " + consumer.position(place) + " is read so far";
  }

  /** An offset of every partition. One that is absent or negative is no answer. */
  private Map<TopicPartition, Long> offsets(String topic, OffsetSpec spec, IsolationLevel isolation) {
    try {
      Map<TopicPartition, OffsetSpec> asked =
          admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().stream()
              .collect(Collectors.toMap(one -> new TopicPartition(topic, one.partition()), one -> spec));
      Map<TopicPartition, Long> found = new HashMap<>();
      admin
          .listOffsets(asked, new ListOffsetsOptions(isolation))
          .all()
          .get()
          .forEach((place, answer) -> found.put(place, answer.offset()));
      for (TopicPartition place : asked.keySet()) {
        if (found.getOrDefault(place, -1L) < 0) {
          throw new KafkaException("no offset of " + place.topic() + " partition " + place.partition());
        }
      }
      return found;
    } catch (ExecutionException error) {
      throw new KafkaException(topic + ": " + error.getCause().getMessage(), error.getCause());
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
      throw new KafkaException("interrupted", error);
    }
  }
}
