"""What an erasure leaves to be done on this host: bodies in the log, old bytes in the view's file.

Kept in the view's file, so that it is noted in the transaction that folds the erasure and a stop forgets
none. It is no part of the state: another host has other chores, and no digest covers them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import lmdb

from stemedb.model.records import ErasureRecord, decode_body
from stemedb.store import keys
from stemedb.store.record import FoldRecord
from stemedb.store.table import Table
from stemedb.store.tables import Tables

_OVERWRITE: Final = b"overwrite"  # then the erasure's seq: the seqs whose bodies are to be overwritten
_COMPACT: Final = b"compact"  # when the first erasure was folded since the file was new


class Chores:
    """The list of one view. Writing wants the view's write transaction."""

    def __init__(self, env: lmdb.Environment) -> None:
        """Open the table, made where it is missing."""
        self.table: Table[tuple[int, ...]] = Table("chores", tuple[int, ...])
        self.table.open(env)

    def note(self, txn: lmdb.Transaction, tables: Tables, record: FoldRecord) -> None:
        """Note what an erasure asks for; to be called before it is folded. Other records ask for nothing."""
        if record.redacted:
            return
        body = decode_body(record.type, record.body)
        if not isinstance(body, ErasureRecord):
            return
        self.table.put(txn, _OVERWRITE + keys.u64(record.seq), body.seqs)
        # In a rebuild from a redacted log nothing is there any more that a file could keep.
        holders = (tables.ids, tables.sources, tables.held)
        if any(table.has(txn, each) for each in body.ids for table in holders):
            self.table.put(txn, _COMPACT, (record.recorded_at,), overwrite=False)

    def to_overwrite(self, txn: lmdb.Transaction) -> Mapping[int, tuple[int, ...]]:
        """Return the seqs whose bodies may still be in the log, by the seq of the erasure."""
        return {keys.seq_of(key): seqs for key, seqs in self.table.walk(txn, _OVERWRITE)}

    def overwritten(self, txn: lmdb.Transaction, erasure_seqs: Collection[int]) -> None:
        """Note that these are done."""
        for seq in erasure_seqs:
            self.table.delete(txn, _OVERWRITE + keys.u64(seq))

    def compact_since(self, txn: lmdb.Transaction) -> int | None:
        """Return when the first erasure was recorded (microseconds) whose bytes the file may hold."""
        found = self.table.get(txn, _COMPACT)
        return None if found is None else found[0]

    def compacted(self, txn: lmdb.Transaction) -> None:
        """Note that the file holds nothing of what was erased."""
        self.table.delete(txn, _COMPACT)
