"""`epoch_aware`: claims of replaced or retracted epochs are dropped, then the newest wins (claims.md 4)."""

from __future__ import annotations

from collections.abc import Sequence

from stemedb.lens import recency
from stemedb.lens.candidate import Candidate, Resolution


def resolve(candidates: Sequence[Candidate]) -> Resolution:
    """Pick the newest claim that no epoch has left behind."""
    return recency.resolve([candidate for candidate in candidates if not candidate.superseded])
