"""`trace`: where a claim comes from, and what became of it."""

from __future__ import annotations

from stemedb import limits
from stemedb.model.replies import EndorsementOut, TraceReply, VoteOut
from stemedb.query.answers import Answer, require_claim
from stemedb.query.claims import SeenClaim, see, show
from stemedb.query.enrich import Surroundings
from stemedb.query.lists import find_epoch, find_source
from stemedb.query.moment import PRESENT, Moment, moment_at
from stemedb.query.question import When
from stemedb.store import ClaimRow, Snapshot, View


def trace(view: View, claim_id: bytes, now_s: int, when: When = PRESENT) -> Answer[TraceReply]:
    """Return a claim with its parents (nearest first), children, votes, endorsements, source and epoch.

    All as it stood then, at most 1,000 of each. Raises `NotFound`, `Gone` when erased, and as `ask` does.
    """
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        around = Surroundings(snapshot, moment)
        seen = require_claim(snapshot, claim_id, moment)
        row = seen.row
        children = (see(child, moment, around) for child in snapshot.children(row))
        reply = TraceReply(
            claim=show(seen),
            parents=[show(parent) for parent in _parents(snapshot, row, moment, around)],
            children=[show(child) for child in children if child is not None][: limits.PAGE_ITEMS_MAX],
            votes=_votes(snapshot, row, moment),
            endorsements=[
                EndorsementOut(each.agent_id.hex(), each.signature.hex(), each.timestamp, endorsement.seq)
                for each, endorsement in snapshot.endorsements(row)
                if moment.sees(endorsement.seq, each.timestamp)
            ][: limits.PAGE_ITEMS_MAX],
            source=find_source(snapshot, row.assertion.source_hash, around),
            epoch=find_epoch(snapshot, row.assertion.epoch, moment) if row.assertion.epoch else None,
        )
        return Answer(reply, moment.seq, moment.clock_s)


def _parents(snapshot: Snapshot, row: ClaimRow, moment: Moment, around: Surroundings) -> list[SeenClaim]:
    """Follow the parents up; an id contains its parent's, so there is no circle to fall into."""
    parents: list[SeenClaim] = []
    parent_id = row.assertion.parent_hash
    while parent_id is not None and len(parents) < limits.PAGE_ITEMS_MAX:
        parent = snapshot.claim(parent_id)
        seen = None if parent is None else see(parent, moment, around)
        if seen is None:
            break
        parents.append(seen)
        parent_id = seen.row.assertion.parent_hash
    return parents


def _votes(snapshot: Snapshot, row: ClaimRow, moment: Moment) -> list[VoteOut]:
    votes = [(seq, each) for seq, each in snapshot.votes(row) if moment.sees(seq, each.vote.timestamp)]
    last: dict[bytes, tuple[int, int]] = {}
    for seq, each in votes:
        agent_id, rank = each.vote.agent_id, (each.vote.timestamp, seq)
        last[agent_id] = max(last.get(agent_id, rank), rank)
    return [
        VoteOut(
            each.id.hex(),
            each.vote.agent_id.hex(),
            each.vote.weight,
            each.vote.timestamp,
            each.signature.hex(),
            seq,
            last[each.vote.agent_id] == (each.vote.timestamp, seq),
        )
        for seq, each in votes[: limits.PAGE_ITEMS_MAX]
    ]
