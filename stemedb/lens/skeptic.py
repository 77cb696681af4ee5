"""`skeptic`: no winner, but the quarrel itself: every value with its share of the weight (claims.md 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stemedb.lens.candidate import Candidate
from stemedb.lens.conflict import ValueShare, conflict_of, value_shares

CONTESTED_FROM = 0.5


class Quarrel(NamedTuple):
    """How a question is disputed; `status` is Empty, Unanimous, Agreed or Contested."""

    status: str
    conflict_score: float
    candidates_count: int
    values: Sequence[ValueShare]


def examine(candidates: Sequence[Candidate]) -> Quarrel:
    """Group equal values and weigh them against each other."""
    values = value_shares(candidates) if candidates else []
    score = conflict_of(values)
    return Quarrel(_status(len(values), score), score, len(candidates), values)


def _status(values_count: int, score: float) -> str:
    if values_count == 0:
        return "Empty"
    if values_count == 1:
        return "Unanimous"
    return "Contested" if score >= CONTESTED_FROM else "Agreed"
