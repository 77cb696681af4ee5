"""Folding an erasure: every trace of what is gone leaves the view.

Afterwards the view is exactly what folding the redacted log gives, in which the erased records have no
content.
"""

from __future__ import annotations

from typing import Any

import lmdb

from stemedb.model.claim import ZERO_HASH
from stemedb.model.records import ErasureRecord
from stemedb.store import keys, rows
from stemedb.store.fold_claims import find_claim, forget_text, put_flags
from stemedb.store.fold_quarantine import forget
from stemedb.store.fold_tables import FoldTables
from stemedb.store.record import FoldRecord
from stemedb.store.table import Table


def fold_erasure(txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: ErasureRecord) -> int:
    """Remove claims and sources, and remember that their ids are gone; return the change in claims."""
    claims_count = 0
    for content_id in body.ids:
        tables.erased.put(txn, content_id, record.seq, overwrite=False)
        forget(txn, tables, content_id)
        row = find_claim(txn, tables, content_id)
        if row is not None:
            _remove_claim(txn, tables, row)
            claims_count -= 1
        elif tables.sources.delete(txn, content_id):
            tables.contents.delete(txn, content_id)
            _remove_all(txn, tables.source_states, content_id)
    return claims_count


def _remove_claim(txn: lmdb.Transaction, tables: FoldTables, row: rows.ClaimRow) -> None:
    assertion = row.assertion
    forget_text(txn, tables, row)
    key = keys.claim_key(assertion, row.id)
    tables.claims.delete(txn, key)
    tables.ids.delete(txn, row.id)
    for signature in row.signatures:
        tables.counts.agent(txn, signature.agent_id, -1)
    owner = keys.u64(row.seq)
    for endorsed in _remove_all(txn, tables.endorsements, owner):
        tables.counts.agent(txn, endorsed[len(owner) :], -1)
    for _, vote in list(tables.votes.walk(txn, owner)):
        tables.known.delete(txn, vote.id)
    _remove_all(txn, tables.votes, owner)
    if assertion.source_hash != ZERO_HASH:
        tables.source_claims.delete(txn, assertion.source_hash + row.id)
    if assertion.parent_hash is not None:
        _leave_parent(txn, tables, assertion.parent_hash, row.id)
    tables.counts.question(txn, keys.question_of(key), assertion.source_class, -1)


def _leave_parent(txn: lmdb.Transaction, tables: FoldTables, parent_id: bytes, child_id: bytes) -> None:
    tables.children.delete(txn, parent_id + child_id)
    parent = find_claim(txn, tables, parent_id)
    if parent is not None and next(tables.children.walk(txn, parent_id), None) is None:
        put_flags(txn, tables, parent, parent.flags & ~rows.PARENT)


def _remove_all(txn: lmdb.Transaction, table: Table[Any], prefix: bytes) -> list[bytes]:
    """Remove every row below `prefix`; return their keys."""
    found = [key for key, _ in table.walk(txn, prefix)]
    for key in found:
        table.delete(txn, key)
    return found
