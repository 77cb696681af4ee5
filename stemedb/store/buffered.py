"""A table whose rows are read and written once in a transaction, however often they change in it.

Counters change with each claim: many claims of one batch are about one question, or by one agent.
"""

from __future__ import annotations

from typing import TypeVar

import lmdb

from stemedb.store.table import Table

Row = TypeVar("Row")


class Buffered(Table[Row]):
    """Stands for `table` in one transaction; only `get`, `put` and `delete` of single rows are for use."""

    def __init__(self, table: Table[Row]) -> None:
        """Begin without any row."""
        self.name = table.name
        self._table = table
        self._rows: dict[bytes, Row | None] = {}

    def get(self, txn: lmdb.Transaction, key: bytes) -> Row | None:
        """Return the row at `key` as it is now, None where there is none; raises `Corrupt`."""
        try:
            return self._rows[key]
        except KeyError:
            row = self._rows[key] = self._table.get(txn, key)
            return row

    def put(self, txn: lmdb.Transaction, key: bytes, row: object, *, overwrite: bool = True) -> bool:
        """Set a row; say whether it was set."""
        if not overwrite and self.get(txn, key) is not None:
            return False
        self._rows[key] = row  # type: ignore[assignment]  # what encodes as a row is one here
        return True

    def delete(self, txn: lmdb.Transaction, key: bytes) -> bool:
        """Remove a row; say whether there was one."""
        there = self.get(txn, key) is not None
        self._rows[key] = None
        return there

    def flush(self, txn: lmdb.Transaction) -> None:
        """Write every row that was looked at, in key order, before the transaction ends."""
        for key, row in sorted(self._rows.items(), key=lambda item: item[0]):
            if row is None:
                self._table.delete(txn, key)
            else:
                self._table.put(txn, key, row)
        self._rows.clear()
