package consolidator;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;

/**
 * The factors of one processor of one application: what a record of {@code factors} says, and a
 * record of {@code factor-changes} about the time after it.
 *
 * @param outcome a text: a later version of the worker may publish one that this program does not
 *     know.
 * @param factors the whole set, empty where they were cleared; a number is a {@code BigInteger} or
 *     a {@code BigDecimal} inside its node, never a double.
 */
public record Factors(Pair pair, String outcome, ObjectNode factors, Version version) {
  /** The newest version of the records that this program reads. */
  static final int SCHEMA_VERSION = 1;

  /** Reads and writes every digit of a number. Jackson's default makes a double of a decimal. */
  static final JsonMapper EXACT =
      JsonMapper.builder()
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
          .enable(StreamWriteFeature.WRITE_BIGDECIMAL_AS_PLAIN)
          .build();

  /** An application and one of its processors. */
  public record Pair(String applicationId, String processor) implements Comparable<Pair> {
    // In the order of the bytes: Java's own order of texts differs beyond the first 65,536 characters.
    private static final Comparator<String> BYTES =
        Comparator.comparing(text -> text.getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned);

    @Override
    public int compareTo(Pair other) {
      int order = BYTES.compare(applicationId, other.applicationId);
      return order != 0 ? order : BYTES.compare(processor, other.processor);
    }
  }

  /** Where the causing event stands; versions of an application only ever rise. */
  public record Version(int partition, long offset) implements Comparable<Version> {
    @Override
    public int compareTo(Version other) {
      int order = Integer.compare(partition, other.partition);
      return order != 0 ? order : Long.compare(offset, other.offset);
    }
  }

  /** A record that this program cannot read. It must not be skipped. */
  public static final class UnreadableException extends RuntimeException {
    UnreadableException(String message) {
      super(message);
    }
  }

  /** Decode a value that is no tombstone; members that it does not know are ignored. */
  public static Factors decode(byte[] value) {
    JsonNode record;
    try {
      record = EXACT.readTree(value);
    } catch (IOException error) {
      throw new UnreadableException("is no JSON");
    }
    JsonNode schema = record.path("schema_version");
    if (!schema.isInt()) {
      throw new UnreadableException("has no schema_version");
    }
    if (schema.intValue() > SCHEMA_VERSION) {
      throw new UnreadableException(
          "has schema_version " + schema.intValue() + ", and this program reads " + SCHEMA_VERSION + ": use a later one");
    }
    if (!(record.path("factors") instanceof ObjectNode factors)) {
      throw new UnreadableException("has no factors");
    }
    JsonNode version = record.path("version");
    if (!version.path("partition").isInt() || !version.path("offset").canConvertToLong()) {
      throw new UnreadableException("has no version");
    }
    return new Factors(
        new Pair(text(record, "application_id"), text(record, "processor")),
        text(record, "outcome"),
        factors,
        new Version(version.get("partition").intValue(), version.get("offset").longValue()));
  }

  private static String text(JsonNode record, String member) {
    JsonNode found = record.path(member);
    if (!found.isTextual() || found.textValue().isEmpty()) {
      throw new UnreadableException("has no " + member);
    }
    return found.textValue();
  }

  /**
   * The application and what stands behind it in a key: the processor in {@code factors}, the
   * change's id in {@code factor-changes}. Inside the application's id {@code %} and {@code /} are
   * written {@code %25} and {@code %2F}, so the first slash ends it.
   */
  public static Pair parseKey(byte[] key) {
    String text = key == null ? "" : utf8(key);
    int slash = text.indexOf('/');
    if (slash < 1 || slash == text.length() - 1) {
      throw new UnreadableException("has a key that no worker writes");
    }
    // In this order: "%252F" must not become a slash.
    String application = text.substring(0, slash).replace("%2F", "/").replace("%25", "%");
    return new Pair(application, text.substring(slash + 1));
  }

  private static String utf8(byte[] bytes) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException error) {
      throw new UnreadableException("has a key that is no UTF-8");
    }
  }

  /** One line of JSON. */
  public String toJson() {
    ObjectNode line = EXACT.createObjectNode();
    line.put("application_id", pair.applicationId()).put("processor", pair.processor()).put("outcome", outcome);
    line.set("factors", factors);
    line.putObject("version").put("partition", version.partition()).put("offset", version.offset());
    return write(line);
  }

  static String write(JsonNode line) {
    try {
      return EXACT.writeValueAsString(line);
    } catch (JsonProcessingException error) {
      throw new IllegalStateException(error);
    }
  }
}
