"""`since`: what was recorded about a subject and predicate after a position in the log."""

from __future__ import annotations

from itertools import groupby

from stemedb.errors import Invalid
from stemedb.model.feed import body_out
from stemedb.model.records import AssertionRecord, Body, EndorsementRecord, ReleaseRecord, VoteRecord
from stemedb.model.replies import ChangesReply
from stemedb.query.candidates import Deadline
from stemedb.query.moment import US_PER_S, Moment
from stemedb.query.question import Question
from stemedb.store import ClaimRow, Snapshot
from stemedb.store.rows import RELEASED


def changes_since(
    snapshot: Snapshot, question: Question, moment: Moment, now_s: int, deadline: Deadline
) -> ChangesReply:
    """Return the records of a question after its `since`, in the order of the log, at most `limit`.

    Raises `Invalid` for a `since` past the head, or in the future of `now_s` (Unix seconds).
    """
    since, since_us = question.since, question.since_us or 0
    if since_us // US_PER_S > now_s:
        raise Invalid.at("/since", "this time has not come yet", code="known_at_past_head")
    if since is None:
        since = snapshot.seq_at(since_us)
    if since > snapshot.state.applied_seq:
        raise Invalid.at("/since", f"{since} is past the head of the log", code="known_at_past_head")
    found: dict[int, Body] = {}
    for _, row in snapshot.walk(question.subject, question.predicate):
        deadline.look()
        found.update((seq, body) for seq, body in _records(snapshot, row) if since < seq <= moment.seq)
    wanted = sorted(found)[: question.limit]
    return ChangesReply([body_out(seq, snapshot.recorded_at(seq), found[seq]) for seq in wanted])


def _records(snapshot: Snapshot, row: ClaimRow) -> list[tuple[int, Body]]:
    """Return the records that a claim and what was said of it came from."""
    first: Body = AssertionRecord(row.assertion, row.signatures, row.by_admin)
    if row.flags & RELEASED:
        first = ReleaseRecord(row.assertion, row.signatures, row.by_admin, b"", b"")
    records = [(row.seq, first)]
    endorsements = sorted(snapshot.endorsements(row), key=lambda each: each[1].seq)
    for seq, group in groupby(endorsements, key=lambda each: each[1].seq):
        records.append((seq, EndorsementRecord(row.id, tuple(signature for signature, _ in group))))
    records += [(seq, VoteRecord(each.vote, each.signature)) for seq, each in snapshot.votes(row)]
    return records
