"""A sink whose SQLite connections say who they are, for the triggers of ``tests/databases/audit.py``.

Run as a program it takes the arguments of ``consolidator``.
"""

import os
import sqlite3
from typing import Any

from sqlalchemy import Engine, event

from streams.cli.main import main


def _sign(connection: Any, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.create_function("written_by", 0, lambda: str(os.getpid()))


if __name__ == "__main__":
    event.listen(Engine, "connect", _sign)
    main()
