"""The database of a sink, as the settings name it; the extra that it needs can be missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.errors import SettingsError
from streams.configuration.settings import Settings, name_of

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["database_of", "is_there", "missing_extra", "sql_extra"]

_EXTRA: Final = ("sqlalchemy", "alembic")
_FILE: Final = Path("sink") / "model.db"


def is_there(settings: Settings) -> bool:
    """Whether a database is configured, or the default file exists and this user can see it."""
    if settings.sink_url is not None:
        return True
    try:
        return _default_file(settings).is_file()
    except OSError:
        return False


def _default_file(settings: Settings) -> Path:
    """The SQLite file that is used if no URL is set."""
    return settings.state_dir / _FILE


def database_of(settings: Settings) -> "URL":
    """The database that the settings name.

    Raises:
        SettingsError: the URL cannot be used.
    """
    from streams.sink.database import url_of  # noqa: PLC0415 - the extra may be missing

    if settings.sink_url is None:
        return url_of(f"sqlite:///{_default_file(settings)}")
    try:
        return url_of(settings.sink_url.get_secret_value())
    except SettingsError as error:
        given = name_of(settings, "sink_url")
        raise SettingsError(f"{'--url' if given.startswith('--') else given}: {error}") from None


def missing_extra() -> list[str]:
    """The packages of the extra that are missing."""
    return [name for name in _EXTRA if find_spec(name) is None]


@contextmanager
def sql_extra() -> Iterator[None]:
    """Refuse if the extra is missing.

    Raises:
        SettingsError: with the name of the extra.
    """
    missing = missing_extra()
    if missing:
        raise SettingsError(f"this command needs the extra sql, and {', '.join(missing)} is missing: install it")
    yield
