"""A sink whose SQLite connections say who they are, and that freezes itself before a transaction if it is asked to.

Run as a program it takes the arguments of ``consolidator``. The triggers of ``tests/databases/audit.py`` ask who it is.
Where the file that CONSOLIDATOR_TEST_FREEZE names is there, the sink takes it away and stops itself: it has a cut in
hand, and nothing of it was sent.
"""

import os
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from streams.cli.main import main

FREEZE = "CONSOLIDATOR_TEST_FREEZE"


def _sign(connection: Any, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.create_function("written_by", 0, lambda: str(os.getpid()))


def _freeze(_: Connection) -> None:
    asked = Path(os.environ[FREEZE])
    if asked.exists():
        asked.unlink()
        # To this very thread: another one would be stopped first, and this one would go on for a moment, on a busy
        # machine as far as into the transaction.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


if __name__ == "__main__":
    event.listen(Engine, "connect", _sign)
    # Before this engine's own listener, which begins the transaction.
    event.listen(Engine, "begin", _freeze, insert=True)
    main()
