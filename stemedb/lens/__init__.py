"""One module a lens: pure functions that resolve a list of candidates (claims.md 4).

Promises: the order of the candidates never matters, an empty list is fine, and nothing is looked up:
candidates arrive enriched. May use: `model`. May not: read a store, a clock or the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stemedb.lens import (
    authority,
    confidence,
    consensus,
    epoch_aware,
    recency,
    trust_aware_authority,
    vote_aware_consensus,
)
from stemedb.lens.candidate import Candidate, Contribution, Resolution

Lens = Callable[[Sequence[Candidate]], Resolution]

LENSES: Mapping[str, Lens] = {
    "recency": recency.resolve,
    "confidence": confidence.resolve,
    "consensus": consensus.resolve,
    "authority": authority.resolve,
    "vote_aware_consensus": vote_aware_consensus.resolve,
    "trust_aware_authority": trust_aware_authority.resolve,
    "epoch_aware": epoch_aware.resolve,
}

__all__ = ["LENSES", "Candidate", "Contribution", "Lens", "Resolution"]
