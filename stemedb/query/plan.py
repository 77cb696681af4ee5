"""How a question is answered, in words and how many claims that took: for who wonders why it is slow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stemedb.model.replies import (
    ChangesReply,
    ConstraintsReply,
    LayeredReply,
    LensReply,
    QueryReply,
    SkepticReply,
)
from stemedb.query.answers import Answer
from stemedb.query.question import LIVE_STAGES, Question


class Counts(NamedTuple):
    """Claims that were read, and those of them that bear on the answer."""

    looked: int
    found: int


def plan_of(endpoint: str, question: Question) -> list[str]:
    """Return the steps by which a question is answered, in order."""
    return [*_walk(question), *_filters(question), _end(endpoint, question)]


def counts_of(answer: Answer[object]) -> Counts:
    """Return how many claims an answer took."""
    reply, found = answer.reply, 0
    if isinstance(reply, QueryReply):
        found = len(reply.assertions)
    elif isinstance(reply, ChangesReply):
        found = len(reply.changes)
    elif isinstance(reply, (LensReply, SkepticReply)):
        found = reply.candidates_count
    elif isinstance(reply, LayeredReply):
        found = sum(tier.candidates_count for tier in reply.tiers)
    elif isinstance(reply, ConstraintsReply):
        found = len(reply.constraints)
    return Counts(answer.looked_count, found)


def _walk(question: Question) -> Iterator[str]:
    what = "one predicate" if question.predicate is not None else "every predicate"
    yield f"walk the claims of {what}, newest first"
    if question.aliases:
        yield "merge the walks of every subject that aliases join"
    if question.cursor is not None:
        yield "begin behind the cursor"
    if question.as_of is not None:
        yield "leave out what was claimed after as_of"
    if question.known_at is not None or question.known_at_us is not None:
        yield "leave out what was recorded after known_at"


def _filters(question: Question) -> Iterator[str]:
    names = {
        "lifecycle": question.stages != LIVE_STAGES,
        "epoch": question.epoch is not None,
        "source_class": question.tiers is not None,
        "agent_id": question.agent_id is not None,
        "min_confidence": question.min_confidence > 0,
        "visual_near": question.visual_near is not None,
    }
    if wanted := [name for name, is_set in names.items() if is_set]:
        yield f"filter by {', '.join(wanted)}"


def _end(endpoint: str, question: Question) -> str:
    if endpoint != "query":
        return f"weigh all that pass: {endpoint}"
    if question.since is not None or question.since_us is not None:
        return f"collect the records after since, at most {question.limit}"
    if question.lens is not None:
        return f"weigh all that pass: {question.lens}"
    if question.vector_near is not None:
        return f"measure all that pass, keep the nearest {question.k}"
    return f"stop after {question.limit}"
