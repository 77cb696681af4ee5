"""Folding claims and their signatures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import lmdb
import msgspec

from stemedb.model.claim import ZERO_HASH, Signature
from stemedb.model.records import EndorsementRecord, RecordType
from stemedb.model.sketch import anchors
from stemedb.store import keys, rows
from stemedb.store.fold_quarantine import set_free
from stemedb.store.fold_tables import FoldTables
from stemedb.store.record import FoldRecord, read_claim


def fold_assertion(txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord) -> int:
    """Add a claim with all that is counted by it; a claim that is there already only gains signatures."""
    claim = tables.read.get(record.seq) or read_claim(record.body)
    assertion, signatures = claim.assertion, claim.signatures
    tables.marks.subject(assertion.subject)
    if not tables.ids.put(txn, claim.id, claim.key, overwrite=False):
        add_signatures(txn, tables, record.seq, claim.id, signatures)
        return 0
    set_free(txn, tables, claim.id)
    flags = rows.PARENT if _has_child(txn, tables, claim.id) else 0
    flags |= rows.RELEASED if record.type == RecordType.RELEASE else 0
    encoded = msgspec.Raw(claim.canonical)
    row = (flags, claim.id, record.seq, record.recorded_at, encoded, signatures, claim.by_admin)
    tables.claims.put(txn, claim.key, row)
    if assertion.parent_hash is not None:
        tables.children.put(txn, assertion.parent_hash + claim.id, None)
        set_flag(txn, tables, assertion.parent_hash, rows.PARENT)
    if assertion.source_hash != ZERO_HASH:
        tables.source_claims.put(txn, assertion.source_hash + claim.id, None)
    tables.counts.question(txn, keys.question_of(claim.key), assertion.source_class, 1)
    for signature in signatures:
        tables.counts.agent(txn, signature.agent_id, 1)
    if claim.sketch:
        tables.sketches.put(txn, claim.id, claim.sketch)
        for anchor_key in _anchor_keys(claim.sketch, signatures, record.seq):
            tables.anchors.put(txn, anchor_key, claim.id)
    return 1


def fold_endorsement(
    txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: EndorsementRecord
) -> None:
    """Add later signatures to a claim."""
    add_signatures(txn, tables, record.seq, body.claim_id, body.signatures)


def add_signatures(
    txn: lmdb.Transaction, tables: FoldTables, seq: int, claim_id: bytes, signatures: tuple[Signature, ...]
) -> None:
    """Add signatures of agents that have not signed the claim yet; the first signature of an agent stands."""
    row = find_claim(txn, tables, claim_id)
    if row is None:
        return
    tables.marks.subject(row.assertion.subject)
    first_signers = {signature.agent_id for signature in row.signatures}
    for signature in signatures:
        if signature.agent_id in first_signers:
            continue
        key = keys.u64(row.seq) + signature.agent_id
        endorsement = rows.EndorsementRow(seq, signature.signature, signature.timestamp)
        if tables.endorsements.put(txn, key, endorsement, overwrite=False):
            tables.counts.agent(txn, signature.agent_id, 1)
            set_flag(txn, tables, claim_id, rows.ENDORSED)


def find_claim(txn: lmdb.Transaction, tables: FoldTables, claim_id: bytes) -> rows.ClaimRow | None:
    """Return the claim with this id, if there is one."""
    key = tables.ids.get(txn, claim_id)
    return None if key is None else tables.claims.require(txn, key)


def set_flag(txn: lmdb.Transaction, tables: FoldTables, claim_id: bytes, flag: int) -> None:
    """Note on a claim that another table holds more about it; an unknown claim is left alone."""
    row = find_claim(txn, tables, claim_id)
    if row is not None and not row.flags & flag:
        put_flags(txn, tables, row, row.flags | flag)


def put_flags(txn: lmdb.Transaction, tables: FoldTables, row: rows.ClaimRow, flags: int) -> None:
    """Write a claim again with other flags."""
    tables.marks.subject(row.assertion.subject)
    key = keys.claim_key(row.assertion, row.id)
    tables.claims.put(txn, key, msgspec.structs.replace(row, flags=flags))


def forget_text(txn: lmdb.Transaction, tables: FoldTables, row: rows.ClaimRow) -> None:
    """Remove the sketch of a claim's text, and what finds it."""
    sketch = tables.sketches.get(txn, row.id)
    if sketch is not None:
        tables.sketches.delete(txn, row.id)
        for anchor_key in _anchor_keys(sketch, row.signatures, row.seq):
            tables.anchors.delete(txn, anchor_key)


def _anchor_keys(sketch: bytes, signatures: Sequence[Signature], seq: int) -> Iterator[bytes]:
    for signature in signatures:
        for anchor in anchors(sketch):
            yield keys.anchor_key(signature.agent_id, anchor, seq)


def _has_child(txn: lmdb.Transaction, tables: FoldTables, claim_id: bytes) -> bool:
    return next(tables.children.walk(txn, claim_id), None) is not None
