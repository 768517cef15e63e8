package benchmark;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;

/** The sample catalogue's rules for the five processors of the workload, and no others. */
final class Consolidation {
  private static final int SCALE = 2;

  private Consolidation() {}

  /** The factors of the outputs that contribute, which are in execution order. */
  static Map<String, Object> factors(String processor, List<Map<String, Object>> outputs) {
    Map<String, Object> factors = new HashMap<>();
    switch (processor) {
      case "bank_statement" -> {
        put(factors, "f_revenue_monthly_avg", values(outputs, "f_revenue_monthly"), Consolidation::mean);
        put(factors, "f_months_analyzed", values(outputs, "f_revenue_monthly"), List::size);
      }
      case "credit_check" -> {
        // The latest one alone.
        int last = outputs.size() - 1;
        List<Object> scores = last < 0 ? List.of() : values(outputs.subList(last, last + 1), "f_credit_score");
        put(factors, "f_credit_score", scores, scored -> scored.get(0));
      }
      case "drivers_license" -> {
        List<Object> verified = values(outputs, "f_license_verified");
        put(factors, "f_verified_licenses_count", verified, found -> countTrue(found));
        put(factors, "f_total_licenses_processed", verified, List::size);
      }
      case "proof_of_income" -> {
        List<Object> income = values(outputs, "f_income_monthly");
        List<Object> employers = values(outputs, "f_employer_name");
        put(factors, "f_income_monthly_avg", income, Consolidation::mean);
        put(factors, "f_income_monthly_lowest", income, Consolidation::least);
        put(factors, "f_income_monthly_highest", income, Consolidation::greatest);
        put(factors, "f_income_documents_count", income, List::size);
        put(factors, "f_employers_count", employers, found -> new HashSet<>(found).size());
        put(factors, "f_employer_first_seen", employers, found -> found.get(0));
      }
      case "voided_check" -> {
        List<Object> matches = values(outputs, "f_account_match");
        List<Object> accounts = values(outputs, "f_account_token");
        put(factors, "f_account_all_checks_match", matches, found -> countTrue(found) == found.size());
        put(factors, "f_account_any_check_matches", matches, found -> countTrue(found) > 0);
        put(factors, "f_accounts_count", accounts, found -> new HashSet<>(found).size());
      }
      default -> throw new IllegalArgumentException("no rules for processor " + processor);
    }
    return factors;
  }

  private static void put(
      Map<String, Object> factors, String name, List<Object> values, Function<List<Object>, Object> reduce) {
    if (!values.isEmpty()) {
      factors.put(name, reduce.apply(values));
    }
  }

  private static List<Object> values(List<Map<String, Object>> outputs, String field) {
    return outputs.stream().map(output -> output.get(field)).filter(Objects::nonNull).toList();
  }

  private static int countTrue(List<Object> values) {
    return (int) values.stream().filter(Boolean.TRUE::equals).count();
  }

  private static BigDecimal number(Object value) {
    return value instanceof BigDecimal decimal ? decimal : new BigDecimal(value.toString());
  }

  private static BigDecimal mean(List<Object> values) {
    BigDecimal sum = values.stream().map(Consolidation::number).reduce(BigDecimal.ZERO, BigDecimal::add);
    return sum.divide(BigDecimal.valueOf(values.size()), SCALE, RoundingMode.HALF_EVEN);
  }

  private static BigDecimal least(List<Object> values) {
    return values.stream().map(Consolidation::number).min(BigDecimal::compareTo).orElseThrow();
  }

  private static BigDecimal greatest(List<Object> values) {
    return values.stream().map(Consolidation::number).max(BigDecimal::compareTo).orElseThrow();
  }
}
