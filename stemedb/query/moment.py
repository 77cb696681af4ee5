"""The moment of a question (claims.md 5): what had been claimed, what was known, and which time it is."""

from __future__ import annotations

from typing import NamedTuple

from stemedb.errors import Invalid
from stemedb.query.cursor import Cursor
from stemedb.query.question import Question, When
from stemedb.store import Snapshot

US_PER_S = 1_000_000
PRESENT = When()


class Moment(NamedTuple):
    """Only records up to `seq` count, and of them only those whose own time is up to `as_of` (Unix seconds).

    `clock_s` (Unix seconds) is the time from which ages are counted.
    """

    seq: int
    as_of: int | None
    clock_s: int

    def sees(self, seq: int, timestamp: int) -> bool:
        """Say whether a thing recorded at `seq` with its own `timestamp` (Unix seconds) is visible."""
        return seq <= self.seq and (self.as_of is None or timestamp <= self.as_of)


def moment_of(question: Question, snapshot: Snapshot, now_s: int, cursor: Cursor | None = None) -> Moment:
    """Return the moment of `question`, asked at `now_s`; a later page keeps the moment of the first.

    Raises `Invalid` for an `as_of` in the future or a `known_at` past the head.
    """
    if cursor is not None:
        return Moment(cursor.seq, question.as_of, cursor.clock_s)
    if question.at is not None:
        seq, clock_s = question.at
        return Moment(seq, question.as_of, clock_s)
    return moment_at(question.when, snapshot, now_s)


def moment_at(when: When, snapshot: Snapshot, now_s: int) -> Moment:
    """Return the moment that a read asks for at `now_s` (Unix seconds).

    Raises `Invalid` for an `as_of` in the future or a `known_at` past the head.
    """
    if when.as_of is not None and when.as_of > now_s:
        detail = f"{when.as_of} is in the future, it is {now_s} now"
        raise Invalid.at("/as_of", detail, code="as_of_in_future")
    seq = head_seq = snapshot.state.applied_seq
    clock_s = now_s
    if when.known_at is not None:
        if when.known_at > head_seq:
            detail = f"the log ends at seq {head_seq}, {when.known_at} is not known yet"
            raise Invalid.at("/known_at", detail, code="known_at_past_head")
        seq = when.known_at
        clock_s = snapshot.recorded_at(seq) // US_PER_S
    elif when.known_at_us is not None:
        clock_s = when.known_at_us // US_PER_S
        if clock_s > now_s:
            raise Invalid.at("/known_at", "this time has not come yet", code="known_at_past_head")
        seq = snapshot.seq_at(when.known_at_us)
    return Moment(seq, when.as_of, clock_s if when.as_of is None else when.as_of)
