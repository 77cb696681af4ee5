"""Tiers of authority and the decay of confidence (claims.md 2). Constants of version 1."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from stemedb.model.claim import Tier

DAY_S: Final = 86_400


class TierRule(NamedTuple):
    """What a tier means: weight 0..1, half-life in seconds (None: never decays), subject schemes."""

    name: str
    weight: float
    half_life_s: int | None
    schemes: tuple[str, ...]


TIERS: Final[dict[Tier, TierRule]] = {
    Tier.REGULATORY: TierRule("Regulatory", 1.0, None, ("rfc", "ietf", "fda", "ema")),
    Tier.CLINICAL: TierRule("Clinical", 0.9, 730 * DAY_S, ("peer", "pubmed")),
    Tier.OBSERVATIONAL: TierRule("Observational", 0.7, 365 * DAY_S, ()),
    Tier.EXPERT: TierRule("Expert", 0.5, 180 * DAY_S, ("code", "wiki")),
    Tier.COMMUNITY: TierRule("Community", 0.3, 90 * DAY_S, ("community",)),
    Tier.ANECDOTAL: TierRule("Anecdotal", 0.1, 30 * DAY_S, ("blog", "anon")),
}

TIER_BY_SCHEME: Final = {scheme: tier for tier, rule in TIERS.items() for scheme in rule.schemes}
WEIGHTS: Final = tuple(TIERS[tier].weight for tier in Tier)
_HALF_LIVES_S: Final = tuple(TIERS[tier].half_life_s for tier in Tier)


def default_tier(subject: str) -> Tier:
    """Return the tier that `subject`'s scheme implies, Community where there is none."""
    scheme, separator, _ = subject.partition("://")
    return TIER_BY_SCHEME.get(scheme.lower(), Tier.COMMUNITY) if separator else Tier.COMMUNITY


def effective_confidence(confidence: float, tier: Tier, age_s: int) -> float:
    """Return confidence x 0.5^(age / half-life) (claims.md 2); an age below 0 counts as 0."""
    half_life_s = _HALF_LIVES_S[tier]
    if half_life_s is None or age_s <= 0:
        return confidence
    return confidence * math.pow(0.5, age_s / half_life_s)
