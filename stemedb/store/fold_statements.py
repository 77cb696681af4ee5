"""Folding what is said beside claims: votes, epochs, sources, aliases, gold standards and judgements."""

from __future__ import annotations

import lmdb

from stemedb.model.records import (
    AliasRecord,
    EpochRecord,
    GoldStandardRecord,
    JudgementRecord,
    SourceRecord,
    SourceStatusRecord,
    VoteRecord,
)
from stemedb.model.statements import alias_id, epoch_id, gold_id, vote_id
from stemedb.model.trust import NEUTRAL, Trust, judged
from stemedb.store import keys, rows
from stemedb.store.fold_claims import find_claim, set_flag
from stemedb.store.fold_tables import FoldTables
from stemedb.store.record import FoldRecord


def fold_vote(txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: VoteRecord) -> None:
    """Add a vote; one on a claim that is not there (any more) leaves no trace."""
    claim = find_claim(txn, tables, body.vote.assertion_hash)
    content_id = vote_id(body.vote)
    if claim is None or not tables.known.put(txn, content_id, record.seq, overwrite=False):
        return
    tables.marks.subject(claim.assertion.subject)
    row = rows.VoteRow(content_id, body.vote, body.signature)
    tables.votes.put(txn, keys.owned(claim.seq, record.seq), row)
    set_flag(txn, tables, claim.id, rows.VOTED)


def fold_epoch(txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: EpochRecord) -> None:
    """Add an epoch; the one it supersedes gains one row, its claims are not touched."""
    content_id = epoch_id(body.epoch)
    if not tables.known.put(txn, content_id, record.seq, overwrite=False):
        return
    epoch = body.epoch
    tables.epochs.put(txn, keys.u64(record.seq), rows.EpochRow(content_id, epoch, body.signature))
    if epoch.supersedes is not None:
        row = rows.SupersededRow(content_id, epoch.supersession, epoch.timestamp)
        tables.superseded.put(txn, keys.owned(epoch.supersedes, record.seq), row)


def fold_source(txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: SourceRecord) -> None:
    """Add a source with its first status."""
    row = rows.SourceRow(record.seq, body.title, body.url, body.source_class, body.timestamp)
    if not tables.sources.put(txn, body.source_hash, row, overwrite=False):
        return
    if body.content is not None:
        tables.contents.put(txn, body.source_hash, body.content)
    state = rows.SourceStateRow(body.status, body.timestamp)
    tables.source_states.put(txn, keys.owned(body.source_hash, record.seq), state)


def fold_source_status(
    txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: SourceStatusRecord
) -> None:
    """Add a status to a source; one of an unknown source leaves no trace."""
    if tables.sources.has(txn, body.source_hash):
        state = rows.SourceStateRow(body.status, body.timestamp)
        tables.source_states.put(txn, keys.owned(body.source_hash, record.seq), state)


def fold_alias(txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: AliasRecord) -> None:
    """Join two subjects, in both directions."""
    if tables.known.put(txn, alias_id(body.first, body.second), record.seq, overwrite=False):
        tables.joins.put(txn, keys.u64(record.seq), rows.JoinRow(body.first, body.second, body.timestamp))
        for subject, other in ((body.first, body.second), (body.second, body.first)):
            row = rows.AliasRow(record.seq, body.timestamp, other)
            tables.aliases.put(txn, keys.alias_key(subject, other), row)


def fold_gold_standard(
    txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: GoldStandardRecord
) -> None:
    """Add what is settled; the newest stands."""
    content_id = gold_id(body.subject, body.predicate, body.object)
    if tables.known.put(txn, content_id, record.seq, overwrite=False):
        seq_key = keys.u64(record.seq)
        row = rows.GoldRow(content_id, body.subject, body.predicate, body.object, body.timestamp)
        tables.golds.put(txn, seq_key, row)
        tables.settled.put(txn, keys.question_prefix(body.subject, body.predicate) + seq_key, None)


def fold_judgement(
    txn: lmdb.Transaction, tables: FoldTables, record: FoldRecord, body: JudgementRecord
) -> None:
    """Move an agent's trust, once for each gold standard."""
    if not tables.judged.put(txn, body.gold_id + body.agent_id, record.seq, overwrite=False):
        return
    last = tables.trust.last(txn, body.agent_id, keys.owned(body.agent_id, record.seq))
    if last is None:
        trust = judged(NEUTRAL, 0, accurate=body.accurate)
    else:
        row = last[1]
        before = Trust(row.millionths, row.accurate, row.inaccurate)
        trust = judged(before, record.recorded_at - row.recorded_at, accurate=body.accurate)
    tables.trust.put(txn, keys.owned(body.agent_id, record.seq), rows.TrustRow(*trust, record.recorded_at))
