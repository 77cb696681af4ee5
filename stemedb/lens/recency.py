"""`recency`: the newest claim wins (claims.md 4); the resolution's confidence is that claim's."""

from __future__ import annotations

from collections.abc import Sequence

from stemedb.lens.candidate import Candidate, Resolution
from stemedb.lens.pick import pick_highest


def resolve(candidates: Sequence[Candidate]) -> Resolution:
    """Pick the newest `timestamp`."""
    return pick_highest(candidates, lambda candidate: candidate.timestamp)
