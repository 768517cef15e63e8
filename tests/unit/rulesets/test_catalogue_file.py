"""The catalogue's file and command: how it is read, what is said about mistakes, how it is shown."""

import json
import time
from decimal import Decimal

import pytest
from click.testing import CliRunner

from models.catalogue import Catalogue, FieldRule, ProcessorType, Reducer, RerunPolicy, Ruleset
from models.errors import CatalogueError, ContractError
from streams.cli.commands.catalogue import catalogue as command
from streams.cli.main import main
from streams.rulesets.catalogue_file import MAX_FILE_BYTES, catalogue_json, load_catalogue, parse_catalogue

HEAD = 'schema_version = 1\nname = "test"\nversion = "1"\n'


def catalogue_of(*, name="test"):
    rule = {"type": "document", "factors": {"f_y": {"reducer": "mean", "field": "f_x"}}}
    return Catalogue.model_validate({"schema_version": 1, "name": name, "version": "1", "processors": {"p": rule}})


def toml(text):
    return parse_catalogue((HEAD + text).encode(), suffix=".toml", source="c.toml")


def problems_of(data, suffix=".toml"):
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(data if isinstance(data, bytes) else data.encode(), suffix=suffix, source="c")
    return str(caught.value)


class TestFile:
    def test_numbers_come_from_the_text(self):
        """A bound keeps digits that a float would lose, in TOML and in JSON."""
        text = "0.1000000000000000000000000000000000001"
        rules = toml(f'processors.p={{type="document",factors.f_y={{reducer="mean",field="f_x",minimum={text}}}}}')
        again = parse_catalogue(catalogue_json(rules).encode(), suffix=".JSON", source="c")
        for read in (rules, again):
            assert read.processors["p"].factors["f_y"].minimum == Decimal(text)

    def test_json_written_is_the_same_catalogue(self):
        """The sample as JSON reads back as an equal value with the same digest."""
        sample = load_catalogue(None)
        again = parse_catalogue(catalogue_json(sample).encode(), suffix=".json", source="c")
        assert again == sample
        assert again.digest == sample.digest

    def test_the_schemas_key_and_a_byte_order_mark_are_ignored(self):
        """What editors put into a file does not disturb."""
        data = {"$schema": "x", **json.loads(catalogue_json(catalogue_of()))}
        assert (
            parse_catalogue(b"\xef\xbb\xbf" + json.dumps(data).encode(), suffix=".json", source="c") == catalogue_of()
        )

    def test_every_problem_is_listed_with_its_place(self):
        """One error names all problems of all processors, and what may have been meant."""
        text = """
schema_version = 2
nam = "test"
version = "a b"
[processors."my proc"]
type = "documents"
factors = {}
[processors.p]
type = "document"
on_failed_rerun = "keep"
[processors.p.factors]
f_a = { reducer = "avg", field = "x", maximun = 1, minimum = inf, scale = 39, unit = 1979-05-27, required = "yes" }
f_b = { reducer = "count", field = 3, minimum = 1e99999999999999999999999999, maximum = "3", color = 1 }
f_c = { reducer = "count", field = "x", scale = 1, minimum = 5, maximum = 3.5 }
f_d = []
"" = { reducer = true, field = "x" }
[processors.q]
type = "document"
[processors.q.factors]
f_a = { reducer = "mean", field = "x" }
f_b = { reducer = "any_true", field = "x" }
"""
        reducers = "mean, sum, min, max, count, latest, earliest, count_true, all_true, any_true, distinct_count"
        immense = "must be a finite number, not an infinite, undefined or immense one"
        assert problems_of(text).splitlines() == [
            "c: 23 problems:",
            "  schema_version: 2 is not a version that this program reads: it reads 1",
            "  name: is missing",
            "  version: 'a b' does not match ^[A-Za-z0-9._+-]{1,100}$",
            (
                "  processors.\"my proc\".type: 'documents' is not one of document, application, stipulation; "
                "did you mean 'document'?"
            ),
            '  processors."my proc".factors: must not be empty',
            f"  processors.p.factors.f_a.reducer: 'avg' is not one of {reducers}; did you mean 'mean'?",
            "  processors.p.factors.f_a.scale: should be less than or equal to 38",
            f"  processors.p.factors.f_a.minimum: {immense}",
            "  processors.p.factors.f_a.unit: must be a string, not a date or time",
            "  processors.p.factors.f_a.required: must be true or false, not a string: 'yes'",
            "  processors.p.factors.f_a.maximun: unknown key; did you mean 'maximum'?",
            "  processors.p.factors.f_b.field: must be a string, not a whole number",
            f"  processors.p.factors.f_b.minimum: {immense}",
            "  processors.p.factors.f_b.maximum: must be a number, not a string: '3'",
            (
                "  processors.p.factors.f_b.color: unknown key; known here: "
                "reducer, field, scale, minimum, maximum, unit, required, description"
            ),
            "  processors.p.factors.f_c.scale: means nothing for count, which yields nothing to round: remove it",
            "  processors.p.factors.f_c.minimum: 5 is greater than the maximum, 3.5",
            "  processors.p.factors.f_d: must be a table, not an array",
            '  processors.p.factors."": the name must not be empty',
            f'  processors.p.factors."".reducer: True is not one of {reducers}',
            (
                "  processors.p.on_failed_rerun: 'keep' is not one of replace, keep_previous; "
                "did you mean 'keep_previous'?"
            ),
            "  processors.q.factors: field 'x' is read as a number by f_a and as a boolean by f_b: it can be only one",
            "  nam: unknown key; did you mean 'name'?",
        ]

    def test_foreign_text_is_shown_harmless_and_short(self):
        """Control characters are escaped and long values are cut in messages."""
        assert r"name: 'x\x1b[31m' does not" in problems_of('name = "x\\u001b[31m"')
        assert f"name: '{'x' * 59}… does not" in problems_of(f'name = "{"x" * 200}"')

    @pytest.mark.parametrize(
        ("data", "suffix", "message"),
        [
            ("a = \n", ".toml", "c: line 1, column 5: Invalid value"),
            ("a = 1\na = 2", ".toml", "c: end of document: Cannot overwrite a value"),
            ('{"a": 1,\n "b" 2}', ".json", "c: line 2, column 6: Expecting ':' delimiter"),
            ('{"a": {"b": 1, "b": 2}}', ".json", 'c: the key "b" is there twice in one object'),
            (b"a = 1\nb = '\xff'", ".toml", "c: line 2: not UTF-8"),
            ("[]", ".json", "c: 1 problem:\n  the file: must be a table, not an array"),
            ("null", ".json", "c: 1 problem:\n  the file: must be a table, not null"),
            ("", ".yaml", "c: the name must end in .toml or .json, to say what is in it"),
            (b" " * (MAX_FILE_BYTES + 1), ".json", "c: larger than 4 MiB: is this a catalogue?"),
        ],
    )
    def test_a_file_that_is_no_catalogue_is_refused_in_one_line(self, data, suffix, message):
        """Broken syntax is reported with line and column, other files for what they are."""
        assert problems_of(data, suffix) == message

    @pytest.mark.parametrize("version", ["true", "1.0", "1e0", "0x1_0", '"1"', "1979-05-27"])
    @pytest.mark.parametrize("suffix", [".toml", ".json"])
    def test_a_version_is_spelled_as_a_whole_number(self, version, suffix):
        """In TOML and in JSON; what Python takes for 1 is none."""
        text = f"schema_version = {version}\n" if suffix == ".toml" else f'{{"schema_version":{version}}}'
        with pytest.raises(CatalogueError):
            parse_catalogue(text.encode(), suffix=suffix, source="c")
        if version in {"true", "1.0"}:
            assert "schema_version: must be a whole number, not a" in problems_of(text, suffix)

    @pytest.mark.parametrize(
        ("text", "suffix", "reason"),
        [
            (".".join(["a"] * 200_000) + " = 1", ".toml", "a key has more than 8 parts"),
            (" . ".join(['"a"', "'b'"] * 100_000) + " = 1", ".toml", "a key has more than 8 parts"),
            ("[" + ".".join(["a"] * 200_000) + "]", ".toml", "a key has more than 8 parts"),
            ("[[" + ".".join(["a"] * 200_000) + "]]", ".toml", "a key has more than 8 parts"),
            ("x = { " + ".".join(["a"] * 200_000) + " = 1 }", ".toml", "a key has more than 8 parts"),
            ("a = " + "[" * 200_000, ".toml", "nested deeper than 8 levels"),
            ("a = " + "{a=" * 200_000, ".toml", "nested deeper than 8 levels"),
            ("[" * 1_000_000, ".json", "nested deeper than 8 levels"),
            ('{"a":' * 200_000 + "1" + "}" * 200_000, ".json", "nested deeper than 8 levels"),
            ("a = 0x" + "f" * 1_000_000, ".toml", "more than 4000 characters"),
            ("a = " + "9" * 1_000_000, ".toml", "more than 4000 characters"),
            ('{"a":' + "9" * 1_000_000 + "}", ".json", "more than 4000 characters"),
            ("a" * 5_000 + " = 1", ".toml", "more than 4000 characters"),
            (r'{"name":"\ud800"}', ".json", "stands alone"),
        ],
        ids=range(14),
    )
    def test_what_a_parser_would_pay_dearly_for_is_refused_before_it_is_parsed(self, text, suffix, reason):
        """Deep keys, tables and arrays, and long numbers: told by a look at the text, in well under a second."""
        started = time.thread_time()
        assert reason in problems_of(text, suffix)
        assert time.thread_time() - started < 2

    @pytest.mark.parametrize(
        "text",
        [
            'a = "' + "a." * 50 + '"',
            "a = '" + "a." * 50 + "' # " + "[." * 50,
            'a = """' + '\n[{"."' * 50 + '"""',
            "a = '''" + "\n[{'." * 50 + "'''",
            'a = "\\"' + "[." * 50 + '"',
            'a = ["a.b.c", "d.e.f", "g.h.i", 1.5, 2.5]\nb = [[[1.5, 2.5]]]',
            'a = "' + "x" * 5_000 + '"',
        ],
        ids=range(7),
    )
    def test_strings_and_comments_have_no_structure(self, text):
        """However many dots and brackets they hold, it is the parser that decides."""
        assert problems_of(text).startswith("c: ")
        assert "unknown key" in problems_of(text)

    def test_a_catalogue_that_could_not_be_read_again_is_refused(self):
        """Numbers are written out where the catalogue is kept, and that text has the same limit."""
        factor = '={reducer="max",field="x",minimum=-1e38,maximum=1e38}'
        text = "".join(f"processors.p.factors.f{number}{factor}\n" for number in range(50_000))
        assert len(text) < MAX_FILE_BYTES
        assert "once its numbers are written out" in problems_of(f"{HEAD}processors.p.type='document'\n{text}")

    @pytest.mark.parametrize("text", ['{"a":' + "1" * 5000 + "}", "[" * 100_000])
    def test_hostile_json_is_refused(self, text):
        """An endless integer or endless nesting is an error like any other."""
        assert problems_of(text, ".json").startswith("c: ")

    @pytest.mark.parametrize("number", ["NaN", "-Infinity"])
    def test_json_that_is_not_json_is_refused(self, number):
        """NaN and the infinities are refused where they stand."""
        text = f'{{"processors":{{"p":{{"factors":{{"f":{{"minimum":{number}}}}}}}}}}}'
        assert "processors.p.factors.f.minimum: must be a finite number" in problems_of(text, ".json")

    def test_a_file_that_cannot_be_read_is_a_broken_contract(self, tmp_path):
        """A missing file is named, with the system's reason."""
        with pytest.raises(ContractError, match=r"none\.toml: cannot be read: No such file"):
            load_catalogue(tmp_path / "none.toml")


class TestSample:
    def test_the_scenarios_processors_declare_the_scenarios_factors_only(self):
        """The mission's three processors yield exactly its factors, without bounds."""
        sample = load_catalogue(None).processors
        said = {
            (name, str(rule.type), factor_name, str(spec.reducer), spec.field)
            for name, rule in sample.items()
            for factor_name, spec in rule.factors.items()
            if name in {"bank_statement", "credit_check", "drivers_license"}
        }
        assert said == {
            ("bank_statement", "document", "f_revenue_monthly_avg", "mean", "f_revenue_monthly"),
            ("bank_statement", "document", "f_months_analyzed", "count", "f_revenue_monthly"),
            ("credit_check", "application", "f_credit_score", "latest", "f_credit_score"),
            ("drivers_license", "document", "f_verified_licenses_count", "count_true", "f_license_verified"),
            ("drivers_license", "document", "f_total_licenses_processed", "count", "f_license_verified"),
        }
        assert sample["bank_statement"].fields == {"f_revenue_monthly": FieldRule(kind="number")}
        assert sample["credit_check"].fields == {"f_credit_score": FieldRule(kind="any")}
        assert sample["drivers_license"].fields == {"f_license_verified": FieldRule(kind="boolean")}

    def test_the_sample_has_a_version_for_every_meaning(self):
        """Whoever changes a rule of the sample raises its version: rows made by the old rules stay recognisable."""
        assert load_catalogue(None).ruleset == Ruleset(
            name="sample-underwriting/2026.1",
            digest="062cf67bbc8123c136a9643d07f04fbe10261e6c45a4e0b039fcb1ff75c9e71b",
        )

    def test_the_sample_shows_everything_once(self):
        """Every type, reducer and policy is used somewhere in the sample, to be copied from."""
        rules = load_catalogue(None).processors.values()
        assert {rule.type for rule in rules} == {*ProcessorType}
        assert {rule.on_failed_rerun for rule in rules} == {*RerunPolicy}
        assert {spec.reducer for rule in rules for spec in rule.factors.values()} == {*Reducer}


class TestCommand:
    def test_check_says_what_was_read(self, tmp_path):
        """A good file gives its name, digest and size, for people and for programs."""
        file = tmp_path / "c.json"
        file.write_text(catalogue_json(catalogue_of()))
        digest = catalogue_of().digest
        said = CliRunner().invoke(command, ["check", str(file)])
        assert (said.exit_code, said.stdout) == (0, f"OK test/1\ndigest {digest}\nprocessors 1, factors 1\n")
        said = CliRunner().invoke(command, ["check", str(file), "--format", "json"])
        assert json.loads(said.stdout) == {"name": "test/1", "digest": digest, "processors": 1, "factors": 1}

    def test_check_ends_with_2_and_the_problems_on_stderr(self, tmp_path, monkeypatch, capsys):
        """A bad file is a broken contract: exit code 2, nothing on stdout."""
        file = tmp_path / "c.toml"
        file.write_text(HEAD)
        monkeypatch.setattr("sys.argv", ["consolidator", "catalogue", "check", str(file)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert capsys.readouterr() == ("", f"error: {file}: 1 problem:\n  processors: is missing\n")

    def test_show_prints_one_line_a_factor(self):
        """In a pipe the table is as wide as its content: no name is folded."""
        said = CliRunner().invoke(command, ["show"], env={"CONSOLIDATOR_CATALOGUE": None, "COLUMNS": "80"})
        assert said.exit_code == 0
        (line,) = (line for line in said.stdout.splitlines() if "f_income_monthly_avg" in line)
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        assert cells == [
            "proof_of_income",
            "document",
            "f_income_monthly_avg",
            "mean",
            "f_income_monthly",
            "2",
            "≥ 0, ≤ 10000000",
            "USD",
            "yes",
        ]
        assert said.stderr.startswith("sample-underwriting/2026.1, digest ")

    def test_show_in_a_narrow_terminal_prints_sentences(self):
        """A terminal of 80 columns gets a list instead of a folded table."""
        narrow = {"CONSOLIDATOR_CATALOGUE": None, "COLUMNS": "80", "FORCE_COLOR": "1"}
        said = CliRunner().invoke(command, ["show"], env=narrow)
        assert said.stdout.startswith("bank_statement (document)\n  f_revenue_monthly_avg: mean of f_revenue_monthly,")
        assert "  f_business_legal_name: latest of f_business_legal_name, required\n" in said.stdout

    def test_show_reads_the_file_given_or_the_one_set(self, tmp_path):
        """An argument wins over CONSOLIDATOR_CATALOGUE, which wins over the sample."""
        given, configured = tmp_path / "given.json", tmp_path / "set.json"
        given.write_text(catalogue_json(catalogue_of(name="given")))
        configured.write_text(catalogue_json(catalogue_of(name="set")))
        env = {"CONSOLIDATOR_CATALOGUE": str(configured)}
        said = [
            CliRunner().invoke(command, ["show", *files, "--format", "json"], env=env) for files in ([str(given)], [])
        ]
        assert [json.loads(one.stdout)["name"] for one in said] == ["given", "set"]
