"""A secret in a file, as orchestrators mount it; what is wrong is said by setting and path, never by value."""

import json
import os
import subprocess
import sys

import pytest

from models.errors import SettingsError
from streams.configuration.settings import SECRETS, load_settings, name_of, variable_of

SECRET = "correct-horse"
LIMIT_S = 60
VARIABLES = [variable_of(field) for field in SECRETS]


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("CONSOLIDATOR_", "KAFKA_")):
            monkeypatch.delenv(name)


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Write a file, and name it in a secret's variable."""

    def mount(variable, content):
        file = tmp_path / "secret"
        file.write_bytes(content)
        monkeypatch.setenv(f"{variable}_FILE", str(file))
        return file

    return mount


def refusal():
    with pytest.raises(SettingsError) as refused:
        load_settings()
    return str(refused.value)


def test_every_secret_may_stand_in_a_file():
    """There is one mechanism for all of them."""
    assert VARIABLES == ["CONSOLIDATOR_SINK_URL", "KAFKA_SASL_PASSWORD", "KAFKA_SSL_KEY_PASSWORD"]


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("behind", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_its_file(mounted, variable, behind):
    """The newline behind it does not belong to it, blanks do."""
    mounted(variable, f" {SECRET} {behind}".encode())
    settings = load_settings()
    [field] = [field for field in SECRETS if variable_of(field) == variable]
    assert getattr(settings, field).get_secret_value() == f" {SECRET} "
    assert name_of(settings, field) == f"{variable}_FILE"
    assert SECRET not in repr(settings)


def test_a_link_to_the_file_is_followed(mounted, tmp_path, monkeypatch):
    """Kubernetes mounts secrets as links."""
    (tmp_path / "link").symlink_to(mounted("KAFKA_SASL_PASSWORD", SECRET.encode()))
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "link"))
    assert load_settings().sasl_password.get_secret_value() == SECRET


@pytest.mark.parametrize("variable", VARIABLES)
def test_both_variables_are_refused(mounted, monkeypatch, variable):
    """Which one holds would be a guess."""
    mounted(variable, SECRET.encode())
    monkeypatch.setenv(variable, SECRET)
    assert refusal() == f"{variable} and {variable}_FILE are both set: set one of them"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has nothing in it"),
        (b"\n", "has nothing in it"),
        (b"\xff" + SECRET.encode(), "is no UTF-8"),
        (SECRET.encode() * 10_000, "has more than 65,536 bytes: that is no password"),
    ],
)
def test_what_is_no_secret_is_refused(mounted, content, said):
    """By setting and path, without what is in it."""
    file = mounted("KAFKA_SASL_PASSWORD", content)
    assert refusal() == f"KAFKA_SASL_PASSWORD_FILE: '{file}' {said}"


def test_a_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    """By setting, path and reason: missing, a directory, a pipe that would be waited for."""
    os.mkfifo(tmp_path / "pipe")
    for name, said in (
        ("missing", f"'{tmp_path}/missing' cannot be read: No such file or directory"),
        ("", f"'{tmp_path}' is no regular file"),
        ("pipe", f"'{tmp_path}/pipe' is no regular file"),
        ("n" * 300, f"'{tmp_path}/{'n' * 300}' cannot be read: File name too long"),
    ):
        monkeypatch.setenv("KAFKA_SSL_KEY_PASSWORD_FILE", str(tmp_path / name))
        assert refusal() == f"KAFKA_SSL_KEY_PASSWORD_FILE: {said}"
    monkeypatch.setenv("KAFKA_SSL_KEY_PASSWORD_FILE", "")
    assert refusal() == "KAFKA_SSL_KEY_PASSWORD_FILE: it is empty: leave it unset, or give a path"


def test_a_misspelt_one_is_refused(monkeypatch):
    """As every other variable is."""
    monkeypatch.setenv("KAFKA_SASL_PASWORD_FILE", "/x")
    assert refusal() == "KAFKA_SASL_PASWORD_FILE is no setting: KAFKA_SASL_PASSWORD_FILE is meant"


@pytest.mark.parametrize("command", [("run",), ("topics", "check"), ("tail", "factors")])
def test_a_command_ends_with_exit_code_2(tmp_path, command):
    """In one line, which names the setting and the path."""
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "worker",
        "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "missing"),
        "CONSOLIDATOR_STATE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *command],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: KAFKA_SASL_PASSWORD_FILE: '{tmp_path}/missing' cannot be read: No such file or directory\n"
    )


def test_json_errors_name_it_too(tmp_path):
    """For scripts."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "factors", "app-1", "--format", "json"],
        env={**os.environ, "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "missing")},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert json.loads(done.stderr)["exit_code"] == 2
    assert f"KAFKA_SASL_PASSWORD_FILE: '{tmp_path}/missing'" in json.loads(done.stderr)["error"]
