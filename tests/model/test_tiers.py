"""Decay: the figures that the specification names."""

from __future__ import annotations

import pytest

from stemedb.model import Tier
from stemedb.model.tiers import DAY_S, default_tier, effective_confidence


@pytest.mark.parametrize(
    ("tier", "confidence", "days", "expected"),
    [
        (Tier.CLINICAL, 0.95, 200, 0.7857),
        (Tier.ANECDOTAL, 1.0, 200, 0.00984),
        (Tier.REGULATORY, 0.95, 200, 0.95),
        (Tier.COMMUNITY, 0.8, 90, 0.4),
        (Tier.EXPERT, 0.8, -5, 0.8),
    ],
)
def test_effective_confidence(tier: Tier, confidence: float, days: int, expected: float) -> None:
    assert effective_confidence(confidence, tier, days * DAY_S) == pytest.approx(expected, rel=5e-4)


def test_default_tier_needs_a_scheme() -> None:
    assert default_tier("rfc://7519/jwt") is Tier.REGULATORY
    assert default_tier("anon://x") is Tier.ANECDOTAL
    assert default_tier("rfc") is Tier.COMMUNITY
