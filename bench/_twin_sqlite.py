"""The twin over sqlite: WAL mode, synchronous=FULL, one connection a thread, one writer at a time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

from bench._twin import COLUMNS, SKEPTIC, TABLES, Row, tier_rows

_MARKS = ", ".join("?" * len(Row._fields))


class SqliteStore:
    """Tables in one file."""

    def __init__(self, path: str) -> None:
        """Make the tables in a new file."""
        self._path = path
        self._local = threading.local()
        self._writing = threading.Lock()
        with self._connection() as connection:
            connection.executescript(TABLES.format(bytes="blob"))
            connection.executemany("insert into tiers values (?, ?, ?)", tier_rows())

    def insert(self, rows: Sequence[Row]) -> None:
        """See `Store`."""
        with self._writing, self._connection() as connection:
            connection.executemany(f"insert or ignore into claims ({COLUMNS}) values ({_MARKS})", rows)  # noqa: S608 - constants

    def skeptic(self, subject: str, predicate: str, now_s: int) -> list[tuple[str, float, int, int, str]]:
        """See `Store`."""
        statement = SKEPTIC.replace("%(now)s", ":now").replace("%(subject)s", ":subject")
        statement = statement.replace("%(predicate)s", ":predicate").replace("max_of", "max")
        values = {"subject": subject, "predicate": predicate, "now": float(now_s)}
        return self._connection().execute(statement, values).fetchall()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = sqlite3.connect(self._path)
            connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=full")
        return connection
