"""Consensus on real quarrels: what most sources say, whatever order they came in; and trust that pays."""

from __future__ import annotations

import pytest

from bench._quarrels import DATA, birthplaces
from bench.lens_quality import accuracy, answers, loaded, settle

SEEDS = (11, 12, 13)
NO_TIE = 3_806

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the BirthPlaces data is not at hand")


def test_consensus_is_the_majority_in_any_order_and_trust_makes_it_better() -> None:
    quarrels = birthplaces()
    majorities, people = quarrels.majorities(), sorted(quarrels.truths)
    assert len(majorities) == NO_TIE
    given = []
    for seed in SEEDS:
        with loaded(quarrels, seed) as engine:
            given.append(answers(engine, "consensus", people))
            if seed == SEEDS[-1]:
                settled = settle(engine, quarrels, seed)
                others = [what for what in people if what not in settled]
                trusted = answers(engine, "trust_aware_authority", others)
    assert {what: given[0][what] for what in majorities} == majorities
    # Ties too end the same way: by the claims themselves, not by when they came.
    assert given[0] == given[1] == given[2]
    by_trust, by_heads = accuracy(quarrels, trusted, others)[0], accuracy(quarrels, given[0], others)[0]
    assert by_trust > by_heads + 0.03
