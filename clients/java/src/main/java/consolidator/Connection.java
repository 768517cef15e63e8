package consolidator;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** How to reach Kafka, from the worker's own environment variables (docs/settings.md). */
public record Connection(Map<String, Object> clientSettings, String topicPrefix) {

  // JDK-8076999.
  private static final int FIRST_WITH_PBES2 = 19;

  /** Settings that cannot be used; the message names the variable, never a secret. */
  public static final class SettingsException extends RuntimeException {
    SettingsException(String message) {
      super(message);
    }
  }

  public String factorsTopic() {
    return topicPrefix + "factors";
  }

  public String changesTopic() {
    return topicPrefix + "factor-changes";
  }

  /** Shows no secret. */
  @Override
  public String toString() {
    return "Connection[" + clientSettings.get("bootstrap.servers") + "]";
  }

  public static Connection fromEnvironment(Map<String, String> environment) {
    Variables variables = new Variables(environment);
    String protocol = variables.get("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT");
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", variables.required("KAFKA_BOOTSTRAP_SERVERS"));
    settings.put("client.id", "factor-consolidator-java");
    settings.put("security.protocol", protocol);
    if (protocol.startsWith("SASL_")) {
      String mechanism = variables.get("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512");
      settings.put("sasl.mechanism", mechanism);
      settings.put("sasl.jaas.config", login(mechanism, variables));
    }
    if (protocol.endsWith("SSL")) {
      addTls(settings, variables);
    }
    return new Connection(Map.copyOf(settings), variables.get("CONSOLIDATOR_TOPIC_PREFIX", ""));
  }

  /** Kafka's clients open certificates and keys when they are made: the innermost cause has the reason. */
  static SettingsException unusable(Throwable error) {
    Throwable cause = error;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    String reason = String.valueOf(cause.getMessage());
    if (reason.contains("PBES2") && Runtime.version().feature() < FIRST_WITH_PBES2) {
      reason = "KAFKA_SSL_KEY_PASSWORD: Java reads a key that is encrypted with PBES2 from version 19 on";
    }
    return new SettingsException("the settings of the connection cannot be used: " + reason);
  }

  private static String login(String mechanism, Variables variables) {
    String module =
        mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
    return String.format(
        "org.apache.kafka.common.security.%s required username=\"%s\" password=\"%s\";",
        module,
        quoted(variables.required("KAFKA_SASL_USERNAME")),
        quoted(variables.secret("KAFKA_SASL_PASSWORD")));
  }

  private static String quoted(String text) {
    return text.replace("\\", "\\\\").replace("\"", "\\\"");
  }

  private static void addTls(Map<String, Object> settings, Variables variables) {
    String authority = variables.get("KAFKA_SSL_CA_LOCATION", null);
    if (authority != null) {
      settings.put("ssl.truststore.type", "PEM");
      settings.put("ssl.truststore.location", authority);
    }
    String certificate = variables.get("KAFKA_SSL_CERTIFICATE_LOCATION", null);
    if (certificate != null) {
      settings.put("ssl.keystore.type", "PEM");
      settings.put("ssl.keystore.certificate.chain", variables.file("KAFKA_SSL_CERTIFICATE_LOCATION"));
      settings.put("ssl.keystore.key", variables.file("KAFKA_SSL_KEY_LOCATION"));
      String password = variables.secret("KAFKA_SSL_KEY_PASSWORD");
      if (password != null) {
        settings.put("ssl.key.password", password);
      }
    }
  }

  /** The environment, with secrets that may stand in files. */
  private record Variables(Map<String, String> environment) {

    /** A variable that is set to nothing counts as unset. */
    String get(String name, String otherwise) {
      String value = environment.get(name);
      return value == null || value.isEmpty() ? otherwise : value;
    }

    String required(String name) {
      String value = get(name, null);
      if (value == null) {
        throw new SettingsException("set " + name);
      }
      return value;
    }

    /** From the variable, or from the file that NAME_FILE names, without the newline behind it. */
    String secret(String name) {
      String value = get(name, null);
      String file = get(name + "_FILE", null);
      if (value != null && file != null) {
        throw new SettingsException("set " + name + " or " + name + "_FILE, not both");
      }
      return file == null ? value : file(name + "_FILE").replaceFirst("\\r?\\n$", "");
    }

    String file(String name) {
      try {
        return Files.readString(Path.of(required(name)));
      } catch (IOException error) {
        throw new SettingsException(name + ": the file cannot be read");
      }
    }
  }
}
