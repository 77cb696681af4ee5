"""The fold: what each kind of record does to the view. Pure: records in, rows out, nothing else is read.

Whoever has just written a claim's record may hand over what `read_claim` would give for it; it is the same.

It never fails on a record that is in the log. What the writer should have refused (a claim twice, a vote
on an unknown claim) is folded to the nearest harmless meaning, so that any log folds to one state
everywhere. A record that was erased from the log, and one whose kind this version does not know, only
take their place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import lmdb

from stemedb.model.records import (
    AliasRecord,
    EndorsementRecord,
    EpochRecord,
    ErasureRecord,
    GoldStandardRecord,
    JudgementRecord,
    KeyRecord,
    KeyRevocationRecord,
    QuarantineRecord,
    QuotaRecord,
    RecordType,
    RejectionRecord,
    SourceRecord,
    SourceStatusRecord,
    VoteRecord,
    decode_body,
)
from stemedb.store import fold_claims, fold_erasure, fold_keys, fold_quarantine, fold_statements
from stemedb.store.fold_tables import FoldTables
from stemedb.store.record import FoldRecord

Folder = Callable[[lmdb.Transaction, FoldTables, FoldRecord, Any], int | None]

_FOLDERS: Mapping[type, Folder] = {
    EndorsementRecord: fold_claims.fold_endorsement,
    VoteRecord: fold_statements.fold_vote,
    EpochRecord: fold_statements.fold_epoch,
    SourceRecord: fold_statements.fold_source,
    SourceStatusRecord: fold_statements.fold_source_status,
    AliasRecord: fold_statements.fold_alias,
    GoldStandardRecord: fold_statements.fold_gold_standard,
    JudgementRecord: fold_statements.fold_judgement,
    ErasureRecord: fold_erasure.fold_erasure,
    KeyRecord: fold_keys.fold_key,
    KeyRevocationRecord: fold_keys.fold_key_revocation,
    QuotaRecord: fold_keys.fold_quota,
    QuarantineRecord: fold_quarantine.fold_quarantine,
    RejectionRecord: fold_quarantine.fold_rejection,
}


_CLAIMS = frozenset({int(RecordType.ASSERTION), int(RecordType.RELEASE)})
_MARKED_THERE = (RecordType.ENDORSEMENT, RecordType.VOTE)
_ASIDE = (
    RecordType.GOLD_STANDARD,
    RecordType.KEY,
    RecordType.KEY_REVOCATION,
    RecordType.QUOTA,
    RecordType.QUARANTINE,
    RecordType.REJECTION,
)
"""What no answer rests on. Judgements, which follow from gold standards, are records of their own."""


def fold_record(txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord) -> int:
    """Apply one record; return by how many the number of claims changed."""
    if record.redacted:
        return 0
    if record.type in _CLAIMS:
        return fold_claims.fold_assertion(txn, tables, record)
    body = decode_body(record.type, record.body)
    if body is None:
        return 0
    if record.type not in _MARKED_THERE and record.type not in _ASIDE:
        tables.marks.everything()
    return _FOLDERS[type(body)](txn, tables, record, body) or 0
