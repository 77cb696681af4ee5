"""Folding API keys, made and revoked, and quotas of single agents."""

from __future__ import annotations

import lmdb
import msgspec

from stemedb.model.keys import key_id
from stemedb.model.records import KeyRecord, KeyRevocationRecord, QuotaRecord
from stemedb.store import rows
from stemedb.store.fold_tables import FoldTables
from stemedb.store.record import FoldRecord


def fold_key(txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: KeyRecord) -> None:
    """Add a key."""
    row = rows.KeyRow(body, record.seq, record.recorded_at)
    tables.keys.put(txn, key_id(body.secret_hash), row, overwrite=False)


def fold_key_revocation(
    txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: KeyRevocationRecord
) -> None:
    """End a key; the first revocation stands, one of an unknown key leaves no trace."""
    row = tables.keys.get(txn, body.key_id)
    if row is not None and not row.revoked_seq:
        tables.keys.put(txn, body.key_id, msgspec.structs.replace(row, revoked_seq=record.seq))


def fold_quota(txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: QuotaRecord) -> None:
    """Give an agent a quota of its own, or take it back."""
    if body.tokens is None:
        tables.quotas.delete(txn, body.agent_id)
    else:
        row = rows.QuotaRow(body.tokens, record.seq, record.recorded_at, body.by)
        tables.quotas.put(txn, body.agent_id, row)
