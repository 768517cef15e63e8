package consolidator;

import com.fasterxml.jackson.databind.JsonNode;
import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Holds published records against a schema: {@code Validate SCHEMA RECORDS}. Each line of RECORDS is
 * {@code {"key": …, "value": …}}, as {@code consolidator tail --format json} has them; a null value,
 * a tombstone, has no schema.
 */
public final class Validate {
  private Validate() {}

  public static void main(String[] arguments) throws IOException {
    Schema schema =
        SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
            .getSchema(Files.readString(Path.of(arguments[0])), InputFormat.JSON);
    int passed = 0;
    int failed = 0;
    try (BufferedReader lines = Files.newBufferedReader(Path.of(arguments[1]))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        JsonNode value = Factors.EXACT.readTree(line).required("value");
        List<Error> errors =
            value.isNull()
                ? List.of()
                : schema.validate(
                    value, run -> run.executionConfig(config -> config.formatAssertionsEnabled(true)));
        passed += errors.isEmpty() ? 1 : 0;
        failed += errors.isEmpty() ? 0 : 1;
        if (failed == 1 && !errors.isEmpty()) {
          Error first = errors.get(0);
          System.out.printf(
              "line %d: %s: %s%n", passed + failed, first.getInstanceLocation(), first.getMessage());
        }
      }
    }
    System.out.printf("%d passed, %d failed%n", passed, failed);
    if (failed > 0) {
      System.exit(1);
    }
  }
}
