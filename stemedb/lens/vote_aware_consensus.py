"""`vote_aware_consensus`: the value with the highest total vote weight wins (claims.md 4).

A value's weight is the sum over its claims of max(0, live votes); the resolution's confidence is its share
of all weight. Where nobody has voted for anything the newest claim wins, with confidence 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from stemedb.lens import recency
from stemedb.lens.candidate import Candidate, Resolution, group_by_value, newest, tie_key
from stemedb.lens.conflict import conflict_score
from stemedb.lens.consensus import contributions


def resolve(candidates: Sequence[Candidate]) -> Resolution:
    """Pick the value that the votes favour."""
    sides = [
        (fsum(map(vote_weight, claims)), newest(claims), claims)
        for claims in group_by_value(candidates).values()
    ]
    total = fsum(side[0] for side in sides)
    if total <= 0.0:
        return recency.resolve(candidates)._replace(resolution_confidence=0.0)
    weight, winner, claims = min(sides, key=lambda side: (-side[0], tie_key(side[1])))
    return Resolution(
        winner,
        len(candidates),
        weight / total,
        conflict_score(candidates),
        contributions(claims, [vote_weight(claim) for claim in claims]),
    )


def vote_weight(candidate: Candidate) -> float:
    """Return what a claim's live votes bring to its value; never negative."""
    return max(0.0, candidate.votes)
