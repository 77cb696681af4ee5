"""The answers: a page of claims, a lens's resolution, the quarrel, the layers, the rules, one claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from stemedb.errors import Gone, Invalid, NotFound
from stemedb.lens import LENSES, Candidate, constraints, layered, skeptic
from stemedb.model.replies import (
    ChangesReply,
    ClaimOut,
    ConstraintOut,
    ConstraintsReply,
    ContributionOut,
    LayeredReply,
    LayerOut,
    LensReply,
    QueryReply,
    SkepticReply,
    SkepticValueOut,
)
from stemedb.model.wire import TIER_NAMES, value_to_wire
from stemedb.query.candidates import Deadline, Search
from stemedb.query.changes import changes_since
from stemedb.query.claims import SeenClaim, candidates, rounded, see, show
from stemedb.query.cursor import decode_cursor, encode_cursor
from stemedb.query.enrich import Surroundings
from stemedb.query.moment import PRESENT, Moment, moment_at, moment_of
from stemedb.query.nearby import nearest
from stemedb.query.question import CONSTRAINTS, Question, When
from stemedb.store import Snapshot, View

ReplyT_co = TypeVar("ReplyT_co", covariant=True)
ReplyT = TypeVar("ReplyT")
Asked = QueryReply | ChangesReply | LensReply | ConstraintsReply


@dataclass(frozen=True, slots=True)
class Answer(Generic[ReplyT_co]):
    """A reply, the position in the log that it saw, and the clock (Unix seconds) it was asked by.

    `looked_count` claims were read for it.
    """

    reply: ReplyT_co
    seq: int
    clock_s: int
    looked_count: int = 0


def ask(view: View, question: Question, now_s: int) -> Answer[Asked]:
    """Answer a question, asked at `now_s` (Unix seconds), by its lens or with a page of claims.

    Raises:
        Invalid: the moment or the cursor cannot be.
        Unprocessable: a lens would have to look at more than 100,000 claims.
        QueryTimeout: it took too long.
    """
    if question.lens == CONSTRAINTS:
        return ask_constraints(view, question, now_s)
    with view.snapshot() as snapshot:
        if question.since is not None or question.since_us is not None:
            moment = moment_of(question, snapshot, now_s)
            deadline = Deadline()
            changes = changes_since(snapshot, question, moment, now_s, deadline)
            return Answer(changes, moment.seq, moment.clock_s, deadline.looked)
        if question.lens is None:
            return _page(snapshot, question, now_s)
        if question.cursor is not None:
            raise Invalid.at("/cursor", "a resolution has no pages", code="bad_cursor")
        search = _search(snapshot, question, now_s)
        return _answer(_resolve(question.lens, _Weighed(search)), search)


def ask_skeptic(view: View, question: Question, now_s: int) -> Answer[SkepticReply]:
    """Answer with the quarrel about one predicate; raises as `ask` does."""
    with view.snapshot() as snapshot:
        search = _search(snapshot, _one_predicate(question), now_s)
        return _answer(_quarrel(_Weighed(search)), search)


def ask_layered(view: View, question: Question, now_s: int) -> Answer[LayeredReply]:
    """Answer with each tier's winner; raises as `ask` does."""
    with view.snapshot() as snapshot:
        search = _search(snapshot, _one_predicate(question), now_s)
        return _answer(_layers(_Weighed(search)), search)


def ask_constraints(view: View, question: Question, now_s: int) -> Answer[ConstraintsReply]:
    """Answer with the rules of a subject, or with those of one kind; raises as `ask` does."""
    if question.predicate is not None and question.predicate not in constraints.RULES:
        raise Invalid.at("/predicate", f"rules are {' or '.join(constraints.RULES)}")
    with view.snapshot() as snapshot:
        moment = moment_of(question, snapshot, now_s)
        found: list[tuple[Candidate, ConstraintOut]] = []
        looked_count = 0
        for rule in constraints.RULES if question.predicate is None else (question.predicate,):
            search = Search(snapshot, question.about(rule), moment)
            weighed = _Weighed(search)
            looked_count += search.deadline.looked
            found += [
                (each, ConstraintOut(rule, value_to_wire(each.value), _reason(snapshot, claim), show(claim)))
                for each in constraints.examine(weighed.candidates)
                for claim in [weighed.claims[each.id]]
            ]
        found.sort(key=lambda rule: constraints.authority_key(rule[0]))
        reply = ConstraintsReply([rule for _, rule in found])
        return Answer(reply, moment.seq, moment.clock_s, looked_count)


def show_claim(view: View, claim_id: bytes, now_s: int, when: When = PRESENT) -> Answer[ClaimOut]:
    """Answer with one claim as it stood then; raises `NotFound`, `Gone` when erased, and as `ask` does."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        return Answer(show(require_claim(snapshot, claim_id, moment)), moment.seq, moment.clock_s)


def require_claim(snapshot: Snapshot, claim_id: bytes, moment: Moment) -> SeenClaim:
    """Return one claim as `moment` sees it; raises `NotFound`, `Gone` when erased."""
    row = snapshot.claim(claim_id)
    seen = None if row is None else see(row, moment, Surroundings(snapshot, moment))
    if seen is None:
        if snapshot.erased_at(claim_id) is not None:
            raise Gone(f"claim {claim_id.hex()} was erased")
        raise NotFound(f"there is no claim {claim_id.hex()}", code="unknown_claim")
    return seen


class _Weighed:
    """The claims of a question that a lens weighs, and the same as its candidates."""

    def __init__(self, search: Search) -> None:
        seen = search.candidates()
        self.claims = {claim.row.id: claim for claim in seen}
        self.candidates = candidates(seen, search.around)


def _search(snapshot: Snapshot, question: Question, now_s: int) -> Search:
    return Search(snapshot, question, moment_of(question, snapshot, now_s))


def _answer(reply: ReplyT, search: Search) -> Answer[ReplyT]:
    return Answer(reply, search.moment.seq, search.moment.clock_s, search.deadline.looked)


def _one_predicate(question: Question) -> Question:
    if question.predicate is None:
        raise Invalid.at("/predicate", "one predicate is required")
    return question


def _page(snapshot: Snapshot, question: Question, now_s: int) -> Answer[QueryReply]:
    cursor = None if question.cursor is None else decode_cursor(question.cursor, question)
    search = Search(snapshot, question, moment_of(question, snapshot, now_s, cursor))
    moment = search.moment
    if question.vector_near is not None:
        claims = nearest(snapshot, question, search.all_matching())
        return _answer(QueryReply([show(seen) for seen in claims], None), search)
    page: list[SeenClaim] = []
    next_cursor, last = None, b""
    for place, seen in search.matching(cursor.last_key if cursor else None):
        if len(page) == question.limit:
            next_cursor = encode_cursor(question, moment.seq, moment.clock_s, last)
            break
        page.append(seen)
        last = place
    return _answer(QueryReply([show(seen) for seen in page], next_cursor), search)


def _resolve(lens: str, weighed: _Weighed) -> LensReply:
    resolution = LENSES[lens](weighed.candidates)
    winner = resolution.winner
    return LensReply(
        lens,
        None if winner is None else show(weighed.claims[winner.id]),
        resolution.candidates_count,
        rounded(resolution.resolution_confidence),
        rounded(resolution.conflict_score),
        [ContributionOut(each.id.hex(), rounded(each.weight)) for each in resolution.contributing],
    )


def _quarrel(weighed: _Weighed) -> SkepticReply:
    quarrel = skeptic.examine(weighed.candidates)
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
                show(weighed.claims[side.newest.id]),
            )
            for side in quarrel.values
        ],
    )


def _layers(weighed: _Weighed) -> LayeredReply:
    examined = layered.examine(weighed.candidates)
    layers = [
        LayerOut(
            int(layer.tier),
            TIER_NAMES[layer.tier],
            show(weighed.claims[layer.winner.id]),
            layer.candidates_count,
            rounded(layer.conflict_score),
        )
        for layer in examined.layers
    ]
    return LayeredReply(layers, rounded(examined.cross_tier_conflict), layers[0].winner if layers else None)


def _reason(snapshot: Snapshot, claim: SeenClaim) -> str | None:
    source = snapshot.source(claim.row.assertion.source_hash)
    return None if source is None else source.title
