"""The processor catalogue: what its rules mean, what they refuse, and its digest."""

from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest
from pydantic import ValidationError

from models.catalogue import (
    NAME_PATTERN,
    Catalogue,
    FactorRule,
    FieldRule,
    ProcessorRule,
    ProcessorType,
    Reducer,
    RerunPolicy,
    Ruleset,
)


def factor(reducer="mean", field="f_x", **rest):
    return {"reducer": reducer, "field": field, **rest}


def processor(**factors):
    return ProcessorRule.model_validate({"type": "document", "factors": factors})


STEERING = "\x00\x1b\x7f\x9b\u061c\u200b\u200f\u2028\u202e\u2066\ufeff"


def catalogue_of(factors=None, *, name="test", version="1", **rest):
    rule = {"type": "document", "factors": factors or {"f_y": factor()}, **rest}
    return Catalogue.model_validate({"schema_version": 1, "name": name, "version": version, "processors": {"p": rule}})


class TestRules:
    def test_the_reducers_and_types_are_the_designs(self):
        """The wire names of types, reducers and policies are fixed."""
        assert [*ProcessorType] == ["document", "application", "stipulation"]
        names = "mean sum min max count latest earliest count_true all_true any_true distinct_count"
        assert [*Reducer] == names.split()
        assert [*RerunPolicy] == ["replace", "keep_previous"]

    def test_a_failed_rerun_replaces_unless_declared_otherwise(self):
        """The default policy is replace."""
        assert processor(f_y=factor()).on_failed_rerun is RerunPolicy.REPLACE

    @pytest.mark.parametrize(("reducer", "scale"), [("mean", 2), ("sum", None), ("max", None), ("latest", None)])
    def test_only_a_mean_is_rounded_by_default(self, reducer, scale):
        """A mean has scale 2 unless declared, every other number is exact."""
        assert FactorRule.model_validate(factor(reducer)).scale == scale
        assert FactorRule.model_validate(factor(reducer, scale=None)).scale == scale
        assert FactorRule.model_validate(factor(reducer, scale=5)).scale == 5

    @pytest.mark.parametrize("reducer", ["count", "distinct_count", "count_true", "all_true", "any_true"])
    def test_a_scale_where_nothing_is_rounded_is_refused(self, reducer):
        """A scale on a count or a boolean is a mistake, and said to be one."""
        with pytest.raises(ValidationError, match=f"scale: means nothing for {reducer}"):
            FactorRule.model_validate(factor(reducer, scale=0))

    @pytest.mark.parametrize("bound", ["minimum", "maximum"])
    def test_a_bound_on_booleans_is_refused(self, bound):
        """Booleans have no order."""
        with pytest.raises(ValidationError, match=f"{bound}: means nothing for any_true"):
            FactorRule.model_validate(factor("any_true", **{bound: 1}))

    def test_bounds_in_the_wrong_order_are_refused(self):
        """A minimum above the maximum is refused, an equal one is not."""
        with pytest.raises(ValidationError, match=r"minimum: 3.5 is greater than the maximum, 3"):
            FactorRule.model_validate(factor(minimum=Decimal("3.50"), maximum=3))
        assert FactorRule.model_validate(factor(minimum=3, maximum=3)).minimum == 3

    @pytest.mark.parametrize(
        "bound", [1.5, True, "1", Decimal("NaN"), Decimal("Infinity"), 10**39, Decimal("1E+39"), Decimal("1E-39")]
    )
    def test_a_bound_is_an_exact_number_within_the_limits(self, bound):
        """A float, a boolean, a text, something not finite, an exponent of 39 is no bound."""
        with pytest.raises(ValidationError):
            FactorRule.model_validate(factor(minimum=bound))

    @pytest.mark.parametrize("bound", [10**38, Decimal("1E+38"), Decimal("1E-38"), Decimal("-0.1"), Decimal("0E+400")])
    def test_the_limits_themselves_are_allowed(self, bound):
        """38 digits and exponents of ±38 are kept exactly."""
        kept = FactorRule.model_validate(factor(minimum=bound)).minimum
        assert isinstance(kept, Decimal)
        assert kept == bound

    @pytest.mark.parametrize(
        "name", ["", " x", "x ", "a\nb", "x" * 257, "é" * 129, "😀" * 65, *(f"a{one}b" for one in STEERING), *STEERING]
    )
    def test_names_are_visible_and_bounded(self, name):
        """Names are not empty, not padded, one line, at most 256 bytes in UTF-8, and steer no terminal."""
        for wrong in (
            lambda: processor(f_y=factor(field=name)),
            lambda: ProcessorRule.model_validate({"type": "document", "factors": {name: factor()}}),
            lambda: catalogue_of().model_copy(update={"processors": {name: processor(f_y=factor())}}),
        ):
            with pytest.raises(ValidationError):
                wrong()

    @pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "😀" * 64], ids=["ascii", "two bytes", "four bytes"])
    def test_the_longest_names_are_allowed(self, name):
        """The limit is inclusive, and the same as that of the names in events."""
        processors = {name: {"type": "document", "factors": {name: factor(field=name)}}}
        content = {"schema_version": 1, "name": "n", "version": "1", "processors": processors}
        assert processors.keys() == Catalogue.model_validate(content).processors.keys()

    @pytest.mark.parametrize("version", [True, Decimal(1), Decimal("1.0"), 1.0, "1", None])
    def test_a_version_is_a_whole_number(self, version):
        """What Python takes for 1 is none: a file has to spell it as one."""
        with pytest.raises(ValidationError, match="schema_version"):
            Catalogue.model_validate({"schema_version": version, "name": "n", "version": "1", "processors": {}})

    @pytest.mark.parametrize(
        "bound", [1 << 4_000_000, -(1 << 4_000_000), Decimal("1E+999999999")], ids=["integer", "negative", "decimal"]
    )
    def test_an_immense_bound_is_refused_at_once(self, bound):
        """Nothing is made of it before its size is known."""
        with pytest.raises(ValidationError, match="significant digits"):
            FactorRule.model_validate(factor(minimum=bound))

    def test_a_processor_without_factors_is_refused(self):
        """A processor that yields nothing is a mistake."""
        with pytest.raises(ValidationError, match="at least 1 item"):
            processor()

    def test_the_json_schema_checks_names_too(self):
        """In the generated schema no name escapes the pattern, and a processor has at least one factor."""
        schema = Catalogue.model_json_schema()
        factors = schema["$defs"]["ProcessorRule"]["properties"]["factors"]
        for names in (factors, schema["properties"]["processors"]):
            assert names["propertyNames"] == {"minLength": 1, "maxLength": 256, "pattern": NAME_PATTERN}
            assert "$ref" in names["additionalProperties"]
        assert factors["minProperties"] == 1


class TestFields:
    @pytest.mark.parametrize("reducer", ["mean", "sum", "min", "max"])
    def test_a_numeric_reducer_reads_numbers(self, reducer):
        """Whatever else reads the field, one numeric reducer makes it a number."""
        rule = processor(f_a=factor("count"), f_b=factor(reducer), f_c=factor("latest"))
        assert rule.fields == {"f_x": FieldRule(kind="number")}

    @pytest.mark.parametrize("reducer", ["count_true", "all_true", "any_true"])
    def test_a_boolean_reducer_reads_booleans(self, reducer):
        """One boolean reducer makes the field a boolean."""
        rule = processor(f_a=factor("count"), f_b=factor(reducer))
        assert rule.fields == {"f_x": FieldRule(kind="boolean")}

    @pytest.mark.parametrize("reducer", ["count", "distinct_count", "latest", "earliest"])
    def test_the_other_reducers_read_any_scalar(self, reducer):
        """Counting and picking work on any scalar, until a bound asks for numbers."""
        assert processor(f_a=factor(reducer)).fields["f_x"].kind == "any"
        assert processor(f_a=factor(reducer, minimum=0)).fields["f_x"].kind == "number"
        assert processor(f_a=factor(reducer, maximum=0)).fields["f_x"].kind == "number"

    def test_a_scale_reads_numbers(self):
        """Only a number can be rounded: latest with a scale accepts numbers only."""
        assert processor(f_a=factor("latest", scale=1)).fields["f_x"].kind == "number"

    def test_bounds_are_intersected_and_required_spreads(self):
        """A value has to please every factor that reads it."""
        rule = processor(
            f_a=factor("min", minimum=0, maximum=100),
            f_b=factor("max", minimum=Decimal("-1.5"), maximum=50, required=True),
            f_c=factor("latest", field="f_other"),
        )
        assert rule.fields == {
            "f_x": FieldRule(kind="number", minimum=Decimal(0), maximum=Decimal(50), required=True),
            "f_other": FieldRule(kind="any"),
        }
        assert rule.fields is rule.fields

    def test_a_field_is_not_both_number_and_boolean(self):
        """A contradiction between factors names the field and both sides."""
        wanted = "field 'f_x' is read as a number by f_a and as a boolean by f_b"
        with pytest.raises(ValidationError, match=wanted):
            processor(f_a=factor("mean"), f_b=factor("all_true"))

    def test_bounds_without_a_common_value_are_refused(self):
        """Bounds that are fine each for itself, but leave no value together, are refused."""
        with pytest.raises(ValidationError, match="at least 3 and at most 2 for f_a, f_b together"):
            processor(f_a=factor("min", minimum=3), f_b=factor("max", maximum=2))


class TestDigest:
    def test_the_digest_is_golden(self):
        """The digest of a given catalogue never changes: rows and change events carry it."""
        golden = catalogue_of({"f_y": factor("latest", minimum=Decimal("0.10"), unit="USD"), "f_ü": factor()})
        assert golden.ruleset == Ruleset(
            name="test/1", digest="c1278c61e57cd4133d3b37e8da8d8b82b02a9432673e8090e5c3a871ef8b282b"
        )

    def test_spelling_and_prose_do_not_count(self):
        """Key order, 0 or -0.0, defaults written out and descriptions leave the digest as it is."""
        one = catalogue_of({"f_a": factor(minimum=0), "f_b": factor("count", "f_z")}, description="one")
        two = catalogue_of(
            {
                "f_b": factor("count", "f_z", description="counts", required=False, unit=None),
                "f_a": factor(scale=2, minimum=Decimal("-0.00"), maximum=None),
            },
            on_failed_rerun="replace",
        )
        assert one.digest == two.digest

    @pytest.mark.parametrize(
        "other",
        [
            catalogue_of(name="other"),
            catalogue_of(version="2"),
            catalogue_of(type="application"),
            catalogue_of(on_failed_rerun="keep_previous"),
            catalogue_of({"f_z": factor()}),
            catalogue_of({"f_y": factor("sum")}),
            catalogue_of({"f_y": factor(field="f_z")}),
            catalogue_of({"f_y": factor(scale=3)}),
            catalogue_of({"f_y": factor(minimum=0)}),
            catalogue_of({"f_y": factor(maximum=0)}),
            catalogue_of({"f_y": factor(unit="USD")}),
            catalogue_of({"f_y": factor(required=True)}),
            Catalogue.model_validate({"schema_version": 1, "name": "test", "version": "1", "processors": {}}),
        ],
    )
    def test_whatever_changes_a_result_or_its_meaning_counts(self, other):
        """Every other difference is another digest."""
        assert other.digest != catalogue_of().digest

    def test_bounds_are_compared_with_all_their_digits(self):
        """Two bounds of 38 digits that differ in the last one are different."""
        one, two = (catalogue_of({"f_y": factor(minimum=10**37 + n)}) for n in (0, 1))
        assert one.digest != two.digest

    def test_a_changed_copy_has_its_own_digest(self):
        """What was computed for the original does not stick to a copy, and a copy is checked."""
        original = catalogue_of()
        assert original.model_copy().digest == original.digest
        assert original.model_copy(update={"version": "2"}) == catalogue_of(version="2")
        assert original.model_copy(update={"version": "2"}).digest == catalogue_of(version="2").digest
        with pytest.raises(ValidationError):
            original.model_copy(update={"version": ""})

    def test_a_catalogue_cannot_be_changed(self):
        """Rules, their mappings and derived field rules are read-only."""
        rules = catalogue_of()
        with pytest.raises(ValidationError, match="frozen"):
            rules.name = "other"
        with pytest.raises(TypeError):
            rules.processors["q"] = rules.processors["p"]
        with pytest.raises(TypeError):
            rules.processors["p"].fields["f_x"] = FieldRule(kind="any")
        with pytest.raises(FrozenInstanceError):
            rules.processors["p"].fields["f_x"].kind = "any"
