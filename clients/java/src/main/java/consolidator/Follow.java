package consolidator;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.WakeupException;

/**
 * Prints the current factors of every application as lines of JSON, then each change until SIGTERM
 * or SIGINT: {@code Follow [--until-caught-up] [--deadline SECONDS]}.
 */
public final class Follow {
  private static final int WRONG = 2;
  private static final int FAILED = 3;
  private static final Duration DEADLINE = Duration.ofSeconds(60);
  private static final Duration PATIENCE_AT_THE_END = Duration.ofSeconds(5);

  private Follow() {}

  public static void main(String[] arguments) {
    // In UTF-8, whatever the locale is.
    PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
    int code = 0;
    try {
      Deque<String> left = new ArrayDeque<>(List.of(arguments));
      boolean untilCaughtUp = left.remove("--until-caught-up");
      Duration deadline = "--deadline".equals(left.poll()) ? seconds(left.poll()) : DEADLINE;
      Connection connection = Connection.fromEnvironment(System.getenv());
      try (FactorReader reader = new FactorReader(connection, deadline, System.err::println)) {
        follow(reader, out, untilCaughtUp);
      }
    } catch (Connection.SettingsException | Factors.UnreadableException error) {
      code = WRONG;
      System.err.println("error: " + error.getMessage());
    } catch (KafkaException error) {
      code = FAILED;
      System.err.println("error: " + error.getMessage());
    }
    out.flush();
    // After a signal the machine is ending already, and exit() would wait for that for ever.
    if (code != 0) {
      System.exit(code);
    }
  }

  private static Duration seconds(String text) {
    return Duration.ofMillis((long) (Double.parseDouble(text) * 1000));
  }

  private static void follow(FactorReader reader, PrintStream out, boolean untilCaughtUp) {
    AtomicBoolean stopped = new AtomicBoolean();
    if (!untilCaughtUp) {
      endOnSignal(reader, stopped);
    }
    try {
      reader.readSnapshot();
      reader.catchUp();
      reader.current().forEach(factors -> out.println(factors.toJson()));
      out.flush();
      System.err.println("caught up");
      while (!untilCaughtUp) {
        reader.poll(update -> out.println(toJson(update)));
        out.flush();
      }
    } catch (WakeupException signal) {
      out.flush();
      stopped.set(true);
    }
  }

  /** After a signal the machine ends when its hooks have: this one waits until the reader is closed. */
  private static void endOnSignal(FactorReader reader, AtomicBoolean stopped) {
    Thread main = Thread.currentThread();
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  reader.stop();
                  try {
                    main.join(PATIENCE_AT_THE_END.toMillis());
                  } catch (InterruptedException ignored) {
                    // The machine ends in any case.
                  }
                  if (stopped.get()) {
                    Runtime.getRuntime().halt(0);
                  }
                }));
  }

  private static String toJson(FactorReader.Update update) {
    if (update.factors() != null) {
      return update.factors().toJson();
    }
    return Factors.write(
        Factors.EXACT.createObjectNode().put("application_id", update.applicationId()).put("erased", true));
  }
}
