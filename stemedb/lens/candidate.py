"""What every lens works on and what every lens returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from stemedb.model.claim import Tier, Value

NEUTRAL_TRUST = 0.5
"""The trust of an agent nobody has judged yet."""

ValueKey = tuple[int, "str | float | bool"]


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A claim as a lens sees it, enriched with all that the lens may need.

    `confidence` is the effective one, or the raw one where the question asked for `decay=false`; `votes`
    is the sum of its live votes; `trust` the mean trust of its signers, 0..1; `superseded`: its epoch was
    replaced or retracted.
    """

    id: bytes
    value: Value
    timestamp: int
    confidence: float
    tier: Tier
    signers: tuple[bytes, ...] = ()
    votes: float = 0.0
    trust: float = NEUTRAL_TRUST
    superseded: bool = False

    @property
    def value_key(self) -> ValueKey:
        """Equal for equal values: kind and value, numbers as numbers, text bytewise."""
        return (self.value.kind, self.value.value)


class Contribution(NamedTuple):
    """A claim an answer rests on, and its part of it, 0..1."""

    id: bytes
    weight: float


class Resolution(NamedTuple):
    """What a lens decided."""

    winner: Candidate | None
    candidates_count: int
    resolution_confidence: float
    conflict_score: float
    contributing: Sequence[Contribution]


def tie_rank(timestamp: int, claim_id: bytes) -> tuple[int, bytes]:
    """Sort key that ends every tie the same way: newer timestamp first, then smaller id."""
    return (-timestamp, claim_id)


def tie_key(candidate: Candidate) -> tuple[int, bytes]:
    """`tie_rank` of a candidate."""
    return (-candidate.timestamp, candidate.id)


def newest(candidates: Iterable[Candidate]) -> Candidate:
    """Return the newest of `candidates`; raises `ValueError` when there are none."""
    return min(candidates, key=tie_key)


def group_by_value(candidates: Iterable[Candidate]) -> dict[ValueKey, list[Candidate]]:
    """Return the candidates by equal value."""
    groups: dict[ValueKey, list[Candidate]] = {}
    for candidate in candidates:
        value = candidate.value
        key = (value.kind, value.value)
        group = groups.get(key)
        if group is None:
            groups[key] = [candidate]
        else:
            group.append(candidate)
    return groups
