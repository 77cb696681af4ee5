"""Folding the quarantine: claims that are kept apart, so that nothing that reads claims can meet them."""

from __future__ import annotations

import lmdb
import msgspec

from stemedb.model.canonical import assertion_id, canonical_bytes
from stemedb.model.records import QuarantineRecord, RejectionRecord
from stemedb.store import keys, rows
from stemedb.store.fold_tables import FoldTables
from stemedb.store.record import FoldRecord

ALL = b"all"
"""The key in `held_counts` of all agents together."""


def fold_quarantine(
    txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: QuarantineRecord
) -> None:
    """Hold a claim back; one that is held already gains signatures, one that is visible stays so."""
    claim_id = assertion_id(canonical_bytes(body.assertion))
    if tables.ids.has(txn, claim_id):
        return
    row = tables.held.get(txn, claim_id)
    if row is not None:
        _leave(txn, tables, claim_id, row)
        known = {each.agent_id for each in row.signatures}
        fresh = tuple(each for each in body.signatures if each.agent_id not in known)
        row = msgspec.structs.replace(row, seqs=(*row.seqs, record.seq), signatures=row.signatures + fresh)
    else:
        row = rows.HeldRow(
            rejected=False,
            seqs=(record.seq,),
            recorded_at=record.recorded_at,
            assertion=body.assertion,
            signatures=body.signatures,
            by_admin=body.by_admin,
            sketch=body.sketch,
            doubts=body.doubts,
            scores=body.scores,
        )
    _enter(txn, tables, claim_id, row)


def fold_rejection(
    txn: lmdb.Transaction, tables: FoldTables, _record: FoldRecord, body: RejectionRecord
) -> None:
    """Keep a claim in quarantine for good; one that is not there leaves no trace."""
    row = tables.held.get(txn, body.claim_id)
    if row is not None and not row.rejected:
        _leave(txn, tables, body.claim_id, row)
        _enter(txn, tables, body.claim_id, msgspec.structs.replace(row, rejected=True))


def set_free(txn: lmdb.Transaction, tables: FoldTables, claim_id: bytes) -> None:
    """Take a claim out of the quarantine, if it is there, and remember which records held it."""
    row = tables.held.get(txn, claim_id)
    if row is not None:
        _leave(txn, tables, claim_id, row)
        tables.once_held.put(txn, claim_id, row.seqs)


def forget(txn: lmdb.Transaction, tables: FoldTables, claim_id: bytes) -> None:
    """Remove every trace that a claim is, or was, in quarantine."""
    set_free(txn, tables, claim_id)
    tables.once_held.delete(txn, claim_id)


def _enter(txn: lmdb.Transaction, tables: FoldTables, claim_id: bytes, row: rows.HeldRow) -> None:
    tables.held.put(txn, claim_id, row)
    tables.held_order.put(txn, keys.held_key(row.seqs[0], rejected=row.rejected), claim_id)
    _count(txn, tables, row, 1)


def _leave(txn: lmdb.Transaction, tables: FoldTables, claim_id: bytes, row: rows.HeldRow) -> None:
    tables.held.delete(txn, claim_id)
    tables.held_order.delete(txn, keys.held_key(row.seqs[0], rejected=row.rejected))
    _count(txn, tables, row, -1)


def _count(txn: lmdb.Transaction, tables: FoldTables, row: rows.HeldRow, by: int) -> None:
    """Count what waits; what was rejected waits no more."""
    if row.rejected:
        return
    for key in (ALL, *(each.agent_id for each in row.signatures)):
        count = (tables.held_counts.get(txn, key) or 0) + by
        if count:
            tables.held_counts.put(txn, key, count)
        else:
            tables.held_counts.delete(txn, key)
