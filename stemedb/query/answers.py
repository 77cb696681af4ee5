"""The answers: a page of claims, a lens's resolution, the quarrel, one claim."""

from __future__ import annotations

from typing import NamedTuple

from stemedb import limits
from stemedb.errors import Invalid, NotFound, Unprocessable
from stemedb.lens import LENSES
from stemedb.lens.skeptic import examine
from stemedb.model.replies import (
    ClaimOut,
    ContributionOut,
    LensReply,
    QueryReply,
    SkepticReply,
    SkepticValueOut,
)
from stemedb.model.wire import value_to_wire
from stemedb.query.claims import SeenClaim, matching, rounded, see, show
from stemedb.query.cursor import decode_cursor, encode_cursor
from stemedb.query.moment import Moment, moment_of
from stemedb.query.question import Question
from stemedb.store import Snapshot, View


class Answer(NamedTuple):
    """A reply, and the position in the log that it saw."""

    reply: QueryReply | LensReply | SkepticReply | ClaimOut
    seq: int


def ask(view: View, question: Question, now_s: int) -> Answer:
    """Answer a question, asked at `now_s` (Unix seconds), by its lens or with a page of claims.

    Raises:
        Invalid: the moment or the cursor cannot be.
        Unprocessable: a lens would have to look at more than 100,000 claims.
        QueryTimeout: it took too long.
    """
    with view.snapshot() as snapshot:
        if question.lens is None:
            return _page(snapshot, question, now_s)
        if question.cursor is not None:
            raise Invalid("/cursor: a resolution has no pages", code="bad_cursor")
        moment = moment_of(question, snapshot, now_s)
        return Answer(_resolve(question.lens, _candidates(snapshot, question, moment)), moment.seq)


def ask_skeptic(view: View, question: Question, now_s: int) -> Answer:
    """Answer with the quarrel about one predicate; raises as `ask` does."""
    if question.predicate is None:
        raise Invalid("/predicate: one predicate is required", code="validation")
    with view.snapshot() as snapshot:
        moment = moment_of(question, snapshot, now_s)
        return Answer(_quarrel(_candidates(snapshot, question, moment)), moment.seq)


def show_claim(view: View, claim_id: bytes, now_s: int) -> Answer:
    """Answer with one claim as it stands at `now_s` (Unix seconds); raises `NotFound`."""
    with view.snapshot() as snapshot:
        found = snapshot.claim(claim_id)
        moment = Moment(snapshot.state.applied_seq, None, now_s)
        seen = None if found is None else see(snapshot, found, moment)
        if seen is None:
            raise NotFound(f"there is no claim {claim_id.hex()}", code="unknown_claim")
        return Answer(show(seen), moment.seq)


def _page(snapshot: Snapshot, question: Question, now_s: int) -> Answer:
    cursor = None if question.cursor is None else decode_cursor(question.cursor, question)
    moment = moment_of(question, snapshot, now_s, cursor)
    page: list[SeenClaim] = []
    next_cursor, last_key = None, b""
    for key, seen in matching(snapshot, question, moment, cursor.last_key if cursor else None):
        if seen is None:
            continue
        if len(page) == question.limit:
            next_cursor = encode_cursor(question, moment.seq, moment.clock_s, last_key)
            break
        page.append(seen)
        last_key = key
    return Answer(QueryReply([show(seen) for seen in page], next_cursor), moment.seq)


def _candidates(snapshot: Snapshot, question: Question, moment: Moment) -> list[SeenClaim]:
    candidates: list[SeenClaim] = []
    for looked, (_, seen) in enumerate(matching(snapshot, question, moment), start=1):
        if looked > limits.CANDIDATES_MAX:
            raise Unprocessable(
                f"more than {limits.CANDIDATES_MAX} claims bear on this question",
                code="too_many_candidates",
                hint="Ask about a narrower subject, or page through the claims without a lens.",
            )
        if seen is not None:
            candidates.append(seen)
    return candidates


def _resolve(lens: str, claims: list[SeenClaim]) -> LensReply:
    resolution = LENSES[lens]([claim.candidate() for claim in claims])
    winner = resolution.winner
    by_id = {claim.row.id: claim for claim in claims}
    return LensReply(
        lens,
        None if winner is None else show(by_id[winner.id]),
        resolution.candidates_count,
        rounded(resolution.resolution_confidence),
        rounded(resolution.conflict_score),
        [ContributionOut(each.id.hex(), rounded(each.weight)) for each in resolution.contributing],
    )


def _quarrel(claims: list[SeenClaim]) -> SkepticReply:
    quarrel = examine([claim.candidate() for claim in claims])
    by_id = {claim.row.id: claim for claim in claims}
    return SkepticReply(
        quarrel.status,
        rounded(quarrel.conflict_score),
        quarrel.candidates_count,
        [
            SkepticValueOut(
                value_to_wire(side.newest.value),
                rounded(side.share),
                len(side.claims),
                len({agent for claim in side.claims for agent in claim.signers}),
                show(by_id[side.newest.id]),
            )
            for side in quarrel.values
        ],
    )
