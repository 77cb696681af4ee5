"""`layered`: each populated tier's winner and quarrel, and how much the tiers disagree (claims.md 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stemedb.lens import confidence
from stemedb.lens.candidate import Candidate
from stemedb.lens.conflict import conflict_score
from stemedb.model.claim import Tier


class Layer(NamedTuple):
    """One tier: the claim with the highest confidence in it, and its own conflict."""

    tier: Tier
    winner: Candidate
    candidates_count: int
    conflict_score: float


class Layers(NamedTuple):
    """The populated tiers, most authoritative first; the first one's winner is the answer."""

    layers: Sequence[Layer]
    cross_tier_conflict: float


def examine(candidates: Sequence[Candidate]) -> Layers:
    """Resolve each tier by itself; the conflict between tiers is over their winners."""
    layers = []
    for tier in Tier:
        inside = [candidate for candidate in candidates if candidate.tier == tier]
        resolution = confidence.resolve(inside)
        if resolution.winner is not None:
            layers.append(Layer(tier, resolution.winner, len(inside), resolution.conflict_score))
    return Layers(layers, conflict_score([layer.winner for layer in layers]))
