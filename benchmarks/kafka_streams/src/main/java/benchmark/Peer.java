package benchmark;

import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * The same job for Kafka Streams: a processor with a persistent store, its changelog and a changes topic.
 *
 * <p>Everything comes from the environment; benchmarks/sides/launch.py says what is set and why.
 */
public final class Peer {
  private static final int MEBIBYTE = 1024 * 1024;

  private Peer() {}

  public static void main(String[] arguments) throws InterruptedException {
    Map<String, String> environment = System.getenv();
    KafkaStreams streams = new KafkaStreams(topology(environment), settings(environment));
    CountDownLatch stopped = new CountDownLatch(1);
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.RUNNING) {
            System.err.println(environment.get("BENCH_READY"));
          } else if (now == KafkaStreams.State.ERROR) {
            // Not in this thread: it is one of those that are waited for.
            new Thread(() -> System.exit(1)).start();
          }
        });
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close(Duration.ofSeconds(30));
                  stopped.countDown();
                }));
    streams.start();
    stopped.await();
  }

  static Topology topology(Map<String, String> environment) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(Consolidator.STORE),
                Serdes.String(),
                new JsonSerde<>(Row.class))
            .withCachingEnabled());
    builder.stream(
            environment.get("BENCH_SOURCE"),
            Consumed.with(Serdes.String(), new JsonSerde<>(Event.class)))
        .process(Consolidator::new, Consolidator.STORE)
        .to(
            environment.get("BENCH_CHANGES"),
            Produced.with(Serdes.String(), new JsonSerde<>(Change.class)));
    return builder.build();
  }

  private static Properties settings(Map<String, String> environment) {
    boolean forLatency = environment.get("BENCH_FOR").equals("latency");
    int commitIntervalMs = Integer.parseInt(environment.get("BENCH_COMMIT_INTERVAL_MS"));
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, environment.get("BENCH_NAME"));
    settings.put(
        StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, environment.get("KAFKA_BOOTSTRAP_SERVERS"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, environment.get("BENCH_DIR"));
    settings.put(
        StreamsConfig.PROCESSING_GUARANTEE_CONFIG, environment.get("BENCH_GUARANTEE"));
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, environment.get("BENCH_THREADS"));
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitIntervalMs);
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L * MEBIBYTE);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    if (forLatency) {
      // A thread that finds nothing must come back in time to commit.
      settings.put(StreamsConfig.POLL_MS_CONFIG, commitIntervalMs);
      settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 0);
    } else {
      settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 50);
      settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), MEBIBYTE / 4);
      settings.put(
          StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG),
          4 * MEBIBYTE);
      settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
    }
    return settings;
  }
}
