"""``consolidator support-bundle`` without a file's name."""

import json
import re
import tarfile

import pytest
from click.testing import CliRunner

from streams.cli.commands.support_bundle import support_bundle

NOWHERE = ("--bootstrap-servers", "127.0.0.1:1")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """The command in an empty directory, without a Kafka."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(support_bundle, [*NOWHERE, "--state-dir", str(tmp_path), *arguments])


def test_without_a_name_it_is_named_after_the_time(run, tmp_path):
    """In the present directory; the name is printed, and it is the folder inside it."""
    found = run()
    assert found.exit_code == 3, found.output
    [file] = tmp_path.glob("*.tar.gz")
    assert re.fullmatch(r"consolidator-support-\d{8}T\d{6}Z\.tar\.gz", file.name)
    assert found.stdout.startswith(f"{file.name}: ")
    with tarfile.open(file) as archive:
        assert f"{file.name.removesuffix('.tar.gz')}/status.json" in archive.getnames()


def test_a_name_that_is_given_is_taken(run, tmp_path):
    """It is the one in the JSON, too."""
    found = run("case-17.tar.gz", "--format", "json")
    assert [file.name for file in tmp_path.glob("*.tar.gz")] == ["case-17.tar.gz"]
    assert json.loads(found.stdout)["file"] == "case-17.tar.gz"
