"""What a database's error means: the database is away, a row is bad, or something agreed upon does not hold.

Messages of a driver may quote a row's values, so they are shown only where no row is involved.
"""

from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, InternalError, OperationalError

from models.errors import ContractError, InfrastructureError

__all__ = ["BAD_ROW", "DatabaseAwayError", "cause_of", "judged"]

BAD_ROW: Final = (DataError, IntegrityError, UnicodeEncodeError, OverflowError)
"""A row that the database, or its driver, refuses: a NUL in a text, a lone surrogate, a number that is too large."""

_AWAY: Final = (OperationalError, InterfaceError, InternalError)
"""Lost, full, locked, restarted, or read-only for a while."""


class DatabaseAwayError(InfrastructureError):
    """The database does not answer or takes nothing: it is asked again later, from where it stands then."""


def judged(error: DBAPIError) -> InfrastructureError | ContractError:
    """An error that concerns no single row, as this project's.

    Args:
        error: neither of its statements' rows is at fault.
    """
    if isinstance(error, _AWAY) or error.connection_invalidated:
        return DatabaseAwayError(f"the database is away: {_first_line(error)}")
    return ContractError(
        f"the database is not as `consolidator sink run` leaves it, or does not permit it: {_first_line(error)}"
    )


def cause_of(error: Exception) -> str:
    """Why a row is refused, without its values: the error's kind, and PostgreSQL's code where there is one."""
    original = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return type(original).__name__ if code is None else f"{type(original).__name__} {code}"


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
