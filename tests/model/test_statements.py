"""Votes, epochs and trust: the worked examples, and integers that every host computes the same."""

from __future__ import annotations

import json
from decimal import Decimal, getcontext
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemedb.errors import Invalid
from stemedb.model import Signer, trust
from stemedb.model.statements import Epoch, Supersession, Vote, alias_id, epoch_id, vote_id
from stemedb.model.statements_wire import (
    AliasIn,
    EpochIn,
    GoldStandardIn,
    SourceIn,
    SourceStatusIn,
    VoteIn,
    alias_from_wire,
    epoch_from_wire,
    gold_from_wire,
    source_from_wire,
    status_from_wire,
    vote_from_wire,
)
from stemedb.model.wire import SUPERSESSIONS
from tests.builders import NOW_S

VECTORS = json.loads((Path(__file__).parents[1] / "fixtures" / "vectors.json").read_text())
ZEROS = "0" * 64


def test_vote_vectors() -> None:
    for vector in VECTORS["votes"]:
        given_vote = vector["vote"]
        vote = Vote(
            bytes.fromhex(given_vote["assertion_hash"]),
            bytes.fromhex(given_vote["agent_id"]),
            given_vote["weight"],
            given_vote["timestamp"],
        )
        assert msgspec.msgpack.encode(vote).hex() == vector["canonical"]
        assert vote_id(vote).hex() == vector["id"]
        signed = Signer(bytes.fromhex(vector["seed"])).sign(vote_id(vote), vote.timestamp)
        assert signed.signature.hex() == vector["signature"]


def test_epoch_vectors() -> None:
    for vector in VECTORS["epochs"]:
        given_epoch = vector["epoch"]
        supersedes = given_epoch["supersedes"]
        epoch = Epoch(
            given_epoch["name"],
            None if supersedes is None else bytes.fromhex(supersedes),
            SUPERSESSIONS[given_epoch["supersession"]],
            given_epoch["timestamp"],
            bytes.fromhex(given_epoch["agent_id"]),
        )
        assert msgspec.msgpack.encode(epoch).hex() == vector["canonical"]
        assert epoch_id(epoch).hex() == vector["id"]
        signed = Signer(bytes.fromhex(vector["seed"])).sign(epoch_id(epoch), epoch.timestamp)
        assert signed.signature.hex() == vector["signature"]


def test_the_drift_table_is_what_it_says() -> None:
    getcontext().prec = 40
    exact = [(Decimal(2) ** (Decimal(-day) / 30) * 10**9).to_integral_value() for day in range(30)]
    assert list(trust._DRIFT) == [int(each) for each in exact]  # noqa: SLF001 - the table is what is tested


@pytest.mark.parametrize(
    ("before", "days", "after"),
    [
        (900_000, 0, 900_000),
        (900_000, 30, 700_000),
        (900_000, 60, 600_000),
        (100_000, 30, 300_000),
        (10**6, 9999, 500_000),
    ],
)
def test_trust_drifts_back_to_a_half(before: int, days: int, after: int) -> None:
    assert trust.drifted(before, days * trust.DAY_US) == after
    assert trust.drifted(before, days * trust.DAY_US + trust.DAY_US - 1) == after  # whole days count


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10**15)), max_size=50))
def test_trust_stays_in_range_and_counts(judgements: list[tuple[bool, int]]) -> None:
    state = trust.NEUTRAL
    for accurate, elapsed_us in judgements:
        state = trust.judged(state, elapsed_us, accurate=accurate)
        assert 0 <= state.millionths <= trust.TRUST_ONE
    assert state.accurate + state.inaccurate == len(judgements)


def test_judgements_move_trust() -> None:
    right = trust.judged(trust.NEUTRAL, 0, accurate=True)
    assert right == trust.Trust(550_000, 1, 0)
    assert trust.judged(right, 0, accurate=False) == trust.Trust(450_000, 1, 1)


def test_an_alias_is_the_same_both_ways() -> None:
    assert alias_id("Ozempic", "Semaglutide") == alias_id("Semaglutide", "Ozempic")
    one = alias_from_wire(AliasIn("b", "a"), NOW_S)
    assert (one.first, one.second, one.timestamp) == ("a", "b", NOW_S)


def test_supersession_counts_from_zero() -> None:
    assert [int(each) for each in Supersession] == [0, 1, 2]


@pytest.mark.parametrize(
    ("refused", "pointer"),
    [
        (lambda: vote_from_wire(VoteIn(ZEROS, ZEROS, 1e9, 0, "0" * 128)), "/weight"),
        (lambda: vote_from_wire(VoteIn(ZEROS, "x", 1, 0, "0" * 128)), "/agent_id"),
        (lambda: vote_from_wire(VoteIn(ZEROS, ZEROS, 1, -1, "0" * 128)), "/timestamp"),
        (lambda: vote_from_wire(VoteIn(ZEROS, ZEROS, 1, 0, "")), "/signature"),
        (lambda: epoch_from_wire(EpochIn("", ZEROS, 0, "0" * 128)), "/name"),
        (lambda: epoch_from_wire(EpochIn("e", ZEROS, 0, "0" * 128, supersession="Kills")), "/supersession"),
        (lambda: epoch_from_wire(EpochIn("e", ZEROS, 0, "0" * 128, supersedes="zz")), "/supersedes"),
        (lambda: source_from_wire(SourceIn(ZEROS, "t"), 0), "/source_hash"),
        (lambda: source_from_wire(SourceIn("1" * 64, ""), 0), "/title"),
        (lambda: source_from_wire(SourceIn("1" * 64, "t", content="x" * (2**20 + 1)), 0), "/content"),
        (lambda: source_from_wire(SourceIn("1" * 64, "t", status="Gone"), 0), "/status"),
        (lambda: source_from_wire(SourceIn("1" * 64, "t", source_class="King"), 0), "/source_class"),
        (lambda: source_from_wire(SourceIn("1" * 64, "t", url="\n"), 0), "/url"),
        (lambda: status_from_wire(bytes(32), SourceStatusIn("active"), 0), "/status"),
        (lambda: alias_from_wire(AliasIn("a", "a"), 0), "/alias"),
        (lambda: alias_from_wire(AliasIn("a", ""), 0), "/alias"),
        (lambda: gold_from_wire(GoldStandardIn("a", "", {"Number": 1}), 0), "/predicate"),
        (lambda: gold_from_wire(GoldStandardIn("a", "p", {"Number": "1"}), 0), "/object/Number"),
    ],
)
def test_refuses_what_the_rules_forbid(refused, pointer: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    with pytest.raises(Invalid) as error:
        refused()
    assert [fault.pointer for fault in error.value.faults] == [pointer]
