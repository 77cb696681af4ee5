"""`authority`: only the most authoritative populated tier counts (claims.md 4)."""

from __future__ import annotations

from collections.abc import Sequence

from stemedb.lens.candidate import Candidate, Resolution
from stemedb.lens.pick import NOBODY, pick_highest


def resolve(candidates: Sequence[Candidate]) -> Resolution:
    """Pick the highest confidence inside the most authoritative tier that has a claim."""
    if not candidates:
        return NOBODY
    top = min(candidate.tier for candidate in candidates)
    return pick_highest(
        candidates,
        lambda candidate: candidate.confidence,
        considered=[candidate for candidate in candidates if candidate.tier == top],
    )
