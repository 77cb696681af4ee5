"""`confidence`: the highest effective confidence wins (claims.md 4)."""

from __future__ import annotations

from collections.abc import Sequence

from stemedb.lens.candidate import Candidate, Resolution
from stemedb.lens.pick import pick_highest


def resolve(candidates: Sequence[Candidate]) -> Resolution:
    """Pick the highest confidence."""
    return pick_highest(candidates, lambda candidate: candidate.confidence)
