"""Every lens: properties that hold for any candidates, and cases with known answers."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemedb.lens import LENSES, Candidate
from stemedb.lens.conflict import conflict_of, conflict_score, value_shares
from stemedb.lens.skeptic import examine
from stemedb.model import ObjectKind, Tier, Value
from tests.builders import number

AGENTS = st.integers(0, 5).map(lambda index: bytes([index]) * 32)

CANDIDATES = st.builds(
    Candidate,
    id=st.binary(min_size=32, max_size=32),
    value=st.sampled_from(
        [number(1), number(2), number(0.0), number(-0.0), Value(ObjectKind.BOOLEAN, value=True)]
    ),
    timestamp=st.integers(0, 3),
    confidence=st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1),
    tier=st.sampled_from(Tier),
    signers=st.lists(AGENTS, min_size=1, max_size=3, unique=True).map(tuple),
    votes=st.sampled_from([0.0, -2.0, 1.5]),
    trust=st.floats(0, 1),
)
LISTS = st.lists(CANDIDATES, max_size=12, unique_by=lambda each: each.id)
EACH_LENS = pytest.mark.parametrize("lens", LENSES)


def candidate(name: str, value: float = 1.0, **fields: object) -> Candidate:
    defaults: dict[str, object] = {
        "timestamp": 0,
        "confidence": 0.8,
        "tier": Tier.COMMUNITY,
        "signers": (name.encode(),),
    }
    return Candidate(id=name.encode(), value=number(value), **(defaults | fields))  # type: ignore[arg-type]


@EACH_LENS
def test_an_empty_list_has_no_winner(lens: str) -> None:
    resolution = LENSES[lens]([])
    assert resolution.winner is None
    assert (resolution.candidates_count, resolution.resolution_confidence, resolution.conflict_score) == (
        0,
        0,
        0,
    )
    assert list(resolution.contributing) == []


@EACH_LENS
@given(candidates=LISTS, seed=st.integers())
def test_the_order_of_candidates_never_matters(lens: str, candidates: list[Candidate], seed: int) -> None:
    shuffled = random.Random(seed).sample(candidates, len(candidates))
    assert LENSES[lens](candidates) == LENSES[lens](shuffled)
    assert examine(candidates)[:3] == examine(shuffled)[:3]


@EACH_LENS
@given(candidates=LISTS.filter(bool))
def test_the_winner_is_a_candidate_and_all_figures_are_in_range(
    lens: str, candidates: list[Candidate]
) -> None:
    resolution = LENSES[lens](candidates)
    assert resolution.winner in candidates
    assert resolution.candidates_count == len(candidates)
    assert 0 <= resolution.resolution_confidence <= 1
    assert 0 <= resolution.conflict_score <= 1
    assert sum(each.weight for each in resolution.contributing) == pytest.approx(1)
    assert {each.id for each in resolution.contributing} <= {each.id for each in candidates}


@EACH_LENS
@given(candidate=CANDIDATES)
def test_one_candidate_wins_without_conflict(lens: str, candidate: Candidate) -> None:
    resolution = LENSES[lens]([candidate])
    assert resolution.winner == candidate
    assert resolution.conflict_score == 0


@EACH_LENS
def test_ties_go_to_the_newer_claim_then_to_the_smaller_id(lens: str) -> None:
    same = [candidate("b", 1), candidate("a", 2), candidate("c", 3)]
    assert LENSES[lens](same).winner == same[1]
    assert LENSES[lens]([*same, candidate("z", 4, timestamp=1)]).winner == candidate("z", 4, timestamp=1)


@given(candidates=LISTS.filter(bool))
def test_shares_sum_to_one_and_fall(candidates: list[Candidate]) -> None:
    shares = [value.share for value in value_shares(candidates)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


@given(candidates=LISTS.filter(bool), more=CANDIDATES)
def test_agreeing_with_the_leading_value_never_raises_the_conflict(
    candidates: list[Candidate], more: Candidate
) -> None:
    leading = value_shares(candidates)[0].newest.value
    agreeing = Candidate(
        more.id, leading, more.timestamp, more.confidence, more.tier, more.signers, more.votes, more.trust
    )
    assert conflict_score([*candidates, agreeing]) <= conflict_score(candidates) + 1e-9


def test_two_equal_clinical_claims_are_contested() -> None:
    quarrel = examine([candidate("a", 1, tier=Tier.CLINICAL), candidate("b", 2, tier=Tier.CLINICAL)])
    assert (quarrel.status, quarrel.conflict_score, len(quarrel.values)) == ("Contested", 1.0, 2)


def test_skeptic_names_its_states() -> None:
    assert examine([]).status == "Empty"
    assert examine([candidate("a"), candidate("b")]).status == "Unanimous"
    many = [candidate(f"{index:03}") for index in range(30)]
    assert examine([*many, candidate("x", 2)]).status == "Agreed"


def test_values_without_weight_are_listed_but_do_not_divide() -> None:
    values = value_shares([candidate("a", 1), candidate("b", 2), candidate("c", 3, confidence=0.0)])
    assert [value.share for value in values] == [0.5, 0.5, 0.0]
    assert conflict_of(values) == 1.0
    weightless = value_shares([candidate("a", 1, confidence=0.0), candidate("b", 2, confidence=0.0)])
    assert [value.share for value in weightless] == [0.5, 0.5]


def test_authority_prefers_one_regulator_to_a_crowd() -> None:
    crowd = [candidate(f"{index:03}", 1, tier=Tier.ANECDOTAL, timestamp=9) for index in range(100)]
    regulator = candidate("fda", 2, tier=Tier.REGULATORY, confidence=0.95)
    resolution = LENSES["authority"]([*crowd, regulator])
    assert resolution.winner == regulator
    assert resolution.resolution_confidence == 0.95


def test_consensus_counts_an_agent_once_a_value() -> None:
    repeated = [candidate(f"{index:02}", 1, signers=(b"one",)) for index in range(10)]
    others = [candidate("x", 2, signers=(b"two",)), candidate("y", 2, signers=(b"three",))]
    resolution = LENSES["consensus"]([*repeated, *others])
    assert resolution.winner is not None
    assert resolution.winner.value == number(2)
    assert resolution.resolution_confidence == pytest.approx(2 / 3)


def test_consensus_lists_at_most_a_hundred_claims() -> None:
    many = [candidate(f"{index:03}", timestamp=index) for index in range(150)]
    contributing = LENSES["consensus"](many).contributing
    assert len(contributing) == 100
    assert contributing[0].id == b"149"
    assert sum(each.weight for each in contributing) == pytest.approx(1)
