"""How much sources disagree: the skeptic's shares and entropy (claims.md 4, "Skeptic").

The weight of a claim is confidence x tier weight x (mean signer trust / 0.5) x max(0, 1 + votes). A
value's share is its claims' weight over all weight. The conflict score is the Shannon entropy of the
shares over the logarithm of the number of values that carry weight (normalised entropy, Shannon 1948), so
two equal sides score 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, log
from typing import NamedTuple

from stemedb.lens.candidate import NEUTRAL_TRUST, Candidate, group_by_value, newest, tie_key
from stemedb.model.tiers import WEIGHTS


class ValueShare(NamedTuple):
    """One value of a quarrel: its part of all weight, its claims, and the newest of them."""

    share: float
    claims: Sequence[Candidate]
    newest: Candidate


def claim_weight(candidate: Candidate) -> float:
    """Return the skeptic's weight of one claim; never negative."""
    weight = candidate.confidence * WEIGHTS[candidate.tier] * (candidate.trust / NEUTRAL_TRUST)
    return weight * max(0.0, 1.0 + candidate.votes) if candidate.votes else weight


def value_shares(candidates: Sequence[Candidate]) -> list[ValueShare]:
    """Return the values with their shares, which sum to 1, largest first.

    Where all weights are 0 the shares are equal.
    """
    groups = list(group_by_value(candidates).values())
    shares = _shares(groups)
    values = [ValueShare(share, claims, newest(claims)) for share, claims in zip(shares, groups, strict=True)]
    return sorted(values, key=lambda value: (-value.share, tie_key(value.newest)))


def _shares(groups: Sequence[Sequence[Candidate]]) -> list[float]:
    """Return each group's part of all weight."""
    weights = [fsum([claim_weight(claim) for claim in claims]) for claims in groups]
    total = fsum(weights)
    return [weight / total if total > 0.0 else 1.0 / len(groups) for weight in weights]


def conflict_of(values: Sequence[ValueShare]) -> float:
    """Return the conflict score 0..1 of a quarrel; 0 for one value or none."""
    return _entropy([value.share for value in values])


def _entropy(shares: Sequence[float]) -> float:
    parts = [share for share in shares if share > 0.0]
    if len(parts) <= 1:
        return 0.0
    entropy = -fsum(part * log(part) for part in parts)
    return min(1.0, entropy / log(len(parts)))


def conflict_score(candidates: Sequence[Candidate]) -> float:
    """Return the conflict score 0..1 over `candidates`, as every lens reports it."""
    # Neither order nor the newest of each value counts here: sums are exact.
    return _entropy(_shares(list(group_by_value(candidates).values())))
