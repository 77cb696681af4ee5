"""`trust_aware_authority`: the highest confidence x tier weight x mean signer trust wins (claims.md 4).

That product is also the resolution's confidence.
"""

from __future__ import annotations

from collections.abc import Sequence

from stemedb.lens.candidate import Candidate, Resolution
from stemedb.lens.pick import pick_highest
from stemedb.model.tiers import WEIGHTS


def resolve(candidates: Sequence[Candidate]) -> Resolution:
    """Pick the highest score."""
    return pick_highest(candidates, score, confidence=score)


def score(candidate: Candidate) -> float:
    """Return confidence x tier weight x mean signer trust, 0..1."""
    return candidate.confidence * WEIGHTS[candidate.tier] * candidate.trust
