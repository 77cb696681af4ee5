"""`constraints`: rules instead of a winner (claims.md 4).

Of a subject's claims those with the predicate `must_use` or `forbidden` count; each value is one rule, stood
for by its most authoritative claim, and the rules come most authoritative first.
"""

from __future__ import annotations

from collections.abc import Sequence

from stemedb.lens.candidate import Candidate, group_by_value, tie_key

RULES = ("must_use", "forbidden")
"""The predicates that make rules."""


def examine(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the claim that stands for each value, of the candidates of one rule."""
    standing = [min(claims, key=authority_key) for claims in group_by_value(candidates).values()]
    return sorted(standing, key=authority_key)


def authority_key(candidate: Candidate) -> tuple[int, float, int, bytes]:
    """Sort key: tier, then confidence, then the common tie rule."""
    return (candidate.tier, -candidate.confidence, *tie_key(candidate))
