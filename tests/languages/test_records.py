"""Records that are not as this version's worker writes them: what is ignored, what is shown, and what is refused."""

import msgspec
import pytest

from consolidator.keys import factors_key
from consolidator.testing import encode, sample_factors
from tests.languages.programs import in_every_language
from tests.languages.publisher import Publisher

pytestmark = [pytest.mark.languages, pytest.mark.kafka, in_every_language]

APP = "app-1"
KEY = factors_key(APP, "bank_statement")
SECRET = "canary-4711"


@pytest.fixture
def publish(installation):
    """Publish one record of ``factors``, as bytes or with other members than usual."""
    worker = Publisher(installation)

    def record(value=None, *, key=KEY, **members):
        usual = msgspec.json.decode(encode(sample_factors(APP, factors={"f_secret": SECRET})))
        content = msgspec.json.encode({**usual, **members}) if value is None else value
        with worker.committed():
            worker.raw(installation.topics.factors.name, APP, key, content)

    return record


def test_what_a_later_version_adds_is_ignored(program, installation, publish):
    """Another member, at any depth, and an outcome and a processor type that nobody knew."""
    version = {"partition": 1, "offset": 2**53 + 1, "epoch": {"deep": [1.5, None]}}
    publish(outcome="postponed", processor_type="committee", later={"a": [1]}, version=version)
    [line] = program.caught_up(installation.variables)
    assert line == {
        "application_id": APP,
        "processor": "bank_statement",
        "outcome": "postponed",
        "factors": {"f_secret": SECRET},
        "version": {"partition": 1, "offset": 2**53 + 1},
    }


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"schema_version": 2}, "has schema_version 2"),
        ({"schema_version": None}, "schema_version"),
        ({"value": b"{"}, ""),
        ({"value": b'{"schema_version":1} {}'}, ""),
        ({"application_id": None}, "application_id"),
        ({"factors": None}, "factors"),
        ({"version": {"partition": 1}}, ""),
        ({"key": b"no slash"}, "key"),
        ({"key": b"\xff/x"}, "key"),
    ],
)
def test_what_cannot_be_read_is_refused(program, installation, publish, members, words):
    """It is not skipped: the exit code is 2, and the message has the place and never a value."""
    publish(**members)
    done = program.run(installation.variables, "--until-caught-up", "--deadline", "20")
    assert (done.returncode, done.stdout) == (2, ""), done
    [partition] = [one for one, end in installation.ends(installation.topics.factors.name).items() if end]
    assert f"error: {installation.topics.factors.name} partition {partition} offset 0" in done.stderr
    assert words in done.stderr
    assert SECRET not in done.stderr
