"""A row that is not what was written is named, whichever way it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from stemedb.errors import Corrupt
from stemedb.store.table import Table

KEY = b"key"


@pytest.mark.parametrize(
    "read",
    [
        lambda table, txn: table.get(txn, KEY),
        lambda table, txn: table.require(txn, KEY),
        lambda table, txn: list(table.walk(txn, KEY)),
        lambda table, txn: list(table.lists(txn, KEY)),
        lambda table, txn: table.last(txn, KEY, KEY),
    ],
    ids=["get", "require", "walk", "lists", "last"],
)
@pytest.mark.parametrize("damage", ["a flipped bit", "cut", "empty", "of another key"])
def test_a_damaged_row_is_named(
    tmp_path: Path, damage: str, read: Callable[[Table[int], lmdb.Transaction[bytes]], object]
) -> None:
    with lmdb.open(str(tmp_path), max_dbs=1) as env:
        table = Table("numbers", int)
        table.open(env)
        db = env.open_db(b"numbers")
        with env.begin(write=True) as txn:
            table.put(txn, KEY, 7)
            table.put(txn, b"another", 7)
            assert read(table, txn)
            whole = txn.get(KEY, db=db)
            another = txn.get(b"another", db=db)
            assert whole is not None
            assert another is not None
            damaged = {
                "a flipped bit": bytes([whole[0] ^ 1]) + whole[1:],
                "cut": whole[:-1],
                "empty": b"",
                "of another key": another,
            }
            txn.put(KEY, damaged[damage], db=db)
        with env.begin() as txn, pytest.raises(Corrupt, match=f"'numbers': the row at key {KEY.hex()}"):
            read(table, txn)
