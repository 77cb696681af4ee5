"""`consensus`: the value that most distinct agents sign wins (plurality; claims.md 4).

An agent counts once per value, however often it repeats it. The value's newest claim stands for it. The
resolution's confidence is the value's agents over the sum of agents of all values.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from stemedb import limits
from stemedb.lens.candidate import Candidate, Contribution, Resolution, group_by_value, newest, tie_key
from stemedb.lens.conflict import conflict_score
from stemedb.lens.pick import NOBODY


def resolve(candidates: Sequence[Candidate]) -> Resolution:
    """Pick the value with most distinct signers."""
    if not candidates:
        return NOBODY
    sides = [(agents_count(claims), newest(claims), claims) for claims in group_by_value(candidates).values()]
    agents, winner, claims = min(sides, key=lambda side: (-side[0], tie_key(side[1])))
    agents_total = sum(side[0] for side in sides)
    return Resolution(
        winner,
        len(candidates),
        agents / agents_total if agents_total else 0.0,
        conflict_score(candidates),
        contributions(claims, [len(claim.signers) for claim in claims]),
    )


def agents_count(claims: Sequence[Candidate]) -> int:
    """Return how many distinct agents stand behind `claims`."""
    return len({agent for claim in claims for agent in claim.signers})


def contributions(claims: Sequence[Candidate], weights: Sequence[float]) -> list[Contribution]:
    """Return the newest claims (at most 100) with their part of the listed weight; the parts sum to 1."""
    listed = sorted(zip(claims, weights, strict=True), key=lambda pair: tie_key(pair[0]))
    listed = listed[: limits.CONTRIBUTING_ITEMS_MAX]
    total = fsum(weight for _, weight in listed)
    if total <= 0.0:
        return [Contribution(claim.id, 1.0 / len(listed)) for claim, _ in listed]
    return [Contribution(claim.id, weight / total) for claim, weight in listed]
