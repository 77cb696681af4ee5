"""The fold: what each kind of record does to the view. Pure: records in, rows out, nothing else is read.

It never fails on a record that is in the log. What the writer should have refused (a claim twice, an
endorsement of an unknown claim) is folded to the nearest harmless meaning, so that any log folds to one
state everywhere.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import lmdb
import msgspec

from stemedb.errors import Corrupt
from stemedb.model.canonical import assertion_id, decode_canonical
from stemedb.model.claim import Signature
from stemedb.model.records import RecordType, decode_endorsement
from stemedb.store import keys, rows


class FoldRecord(Protocol):
    """What the fold needs of a log record (`stemedb.log.Record` is one)."""

    @property
    def seq(self) -> int:
        """Its position in the log."""

    @property
    def recorded_at(self) -> int:
        """When it was accepted, in microseconds."""

    @property
    def type(self) -> int:
        """A `RecordType`, or one this version does not know."""

    @property
    def body(self) -> bytes:
        """MessagePack, by type."""


class Tables(NamedTuple):
    """The open tables of the view."""

    meta: lmdb._Database
    claims: lmdb._Database
    ids: lmdb._Database
    endorsements: lmdb._Database
    moments: lmdb._Database


_assertion_parts = msgspec.msgpack.Decoder(tuple[msgspec.Raw, msgspec.Raw])
_signatures = msgspec.msgpack.Decoder(tuple[Signature, ...])


def fold_record(txn: lmdb.Transaction, tables: Tables, record: FoldRecord) -> int:
    """Apply one record; return how many claims it added."""
    seq_key = keys.u64(record.seq)
    txn.put(seq_key, rows.seal(seq_key, keys.u64(record.recorded_at)), db=tables.moments, append=True)
    if record.type == RecordType.ASSERTION:
        return _fold_assertion(txn, tables, record)
    if record.type == RecordType.ENDORSEMENT:
        endorsement = decode_endorsement(record.body)
        _fold_signatures(txn, tables, record.seq, endorsement.claim_id, endorsement.signatures)
    return 0


def _fold_assertion(txn: lmdb.Transaction, tables: Tables, record: FoldRecord) -> int:
    raw, raw_signatures = _assertion_parts.decode(record.body)
    canonical = bytes(raw)
    claim_id = assertion_id(canonical)
    key = keys.claim_key(decode_canonical(canonical), claim_id)
    if not txn.put(claim_id, rows.seal(claim_id, key), db=tables.ids, overwrite=False):
        _fold_signatures(txn, tables, record.seq, claim_id, _signatures.decode(raw_signatures))
        return 0
    value = rows.encode_claim(key, claim_id, record.seq, record.recorded_at, raw, raw_signatures)
    txn.put(key, value, db=tables.claims)
    return 1


def _fold_signatures(
    txn: lmdb.Transaction, tables: Tables, seq: int, claim_id: bytes, signatures: tuple[Signature, ...]
) -> None:
    """Add signatures of agents that have not signed the claim yet; the first signature of an agent stands."""
    sealed_key = txn.get(claim_id, db=tables.ids)
    if sealed_key is None:
        return
    key = bytes(rows.unseal("ids", claim_id, sealed_key))
    value = txn.get(key, db=tables.claims)
    if value is None:
        detail = f"the view names claim {claim_id.hex()} but does not hold it"
        raise Corrupt(detail, code="corrupt_view", ways_out=(rows.REBUILD,))
    row = rows.decode_claim(key, value)
    first_signers = {signature.agent_id for signature in row.signatures}
    added = False
    for signature in signatures:
        if signature.agent_id in first_signers:
            continue
        endorsement_key = keys.endorsement_key(row.seq, signature.agent_id)
        endorsement = rows.encode_endorsement(endorsement_key, seq, signature)
        added |= txn.put(endorsement_key, endorsement, db=tables.endorsements, overwrite=False)
    if added and not rows.claim_flags(value) & rows.FLAG_ENDORSED:
        txn.put(key, rows.with_flag(key, value, rows.FLAG_ENDORSED), db=tables.claims)
