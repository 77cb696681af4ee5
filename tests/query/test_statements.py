"""What is said beside claims, and what it does to answers."""

from __future__ import annotations

import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import lmdb
import pytest

from stemedb.engine import (
    AliasChange,
    Engine,
    EngineSettings,
    EpochChange,
    SourceChange,
    SourceStatusChange,
    check_epoch,
    check_vote,
    open_engine,
)
from stemedb.errors import Conflict, Forbidden, NotFound, Unprocessable
from stemedb.model import Lifecycle
from stemedb.model.records import EpochRecord, SourceStatus, VoteRecord
from stemedb.model.statements import Supersession
from stemedb.model.tiers import DAY_S
from stemedb.query import (
    Listing,
    show_agent,
    show_alias,
    show_claim,
    show_epoch,
    show_gold_standard,
    show_source,
    source_impact,
)
from tests.builders import NOW_S, SIGNERS, checked, number
from tests.query.asking import (
    PREDICATE,
    alias,
    epoch,
    gold,
    hashes,
    only,
    page,
    put,
    resolve,
    source,
    status,
    vote,
    winner,
    winning,
)

# -- votes --


def test_the_last_vote_of_an_agent_counts(engine: Engine) -> None:
    (claim,) = put(engine, checked(timestamp=NOW_S - 99))
    put(
        engine,
        vote(claim, 0.5, at=NOW_S - 20),
        vote(claim, 1.0, SIGNERS[1]),
        vote(claim, -0.25, at=NOW_S - 10),
    )
    put(engine, vote(claim, 0.9, at=NOW_S - 30))  # an older word that came late
    assert (only(engine).votes.count, only(engine).votes.weight) == (2, 0.75)
    assert only(engine, as_of=str(NOW_S - 15)).votes.weight == 0.5
    assert only(engine, known_at="3").votes.weight == 0.5
    put(engine, vote(claim, 0, SIGNERS[1], at=NOW_S + 1))
    assert page(engine, NOW_S + 1).assertions[0].votes.count == 1


def test_votes_need_a_claim_and_a_signature(engine: Engine) -> None:
    with pytest.raises(NotFound, match="there is no claim"):
        put(engine, vote("ab" * 32, 1.0))
    assert engine.log.head().seq == 1
    (claim,) = put(engine, checked())
    right = vote(claim, 1.0).body
    assert check_vote(right).body == right
    with pytest.raises(Unprocessable):
        check_vote(VoteRecord(vote(claim, 0.5).body.vote, right.signature))


def test_the_same_vote_again_exists(engine: Engine) -> None:
    (claim,) = put(engine, checked())
    first, again, later = (engine.submit_one(vote(claim, 1.0)) for _ in range(3))
    assert [each.status for each in (first, again, later)] == ["created", "exists", "exists"]
    assert {each.seq for each in (first, again, later)} == {3}


def test_a_vote_may_share_a_batch_with_its_claim(engine: Engine) -> None:
    claim = checked()
    put(engine, claim, vote(claim.id.hex(), 1.0))
    assert only(engine).votes.weight == 1.0


def test_vote_aware_consensus(engine: Engine) -> None:
    one, two = put(engine, checked(object=number(1)), checked(object=number(2), timestamp=NOW_S - 5))
    nobody = resolve(engine, "vote_aware_consensus")
    assert nobody.winner is not None
    assert (nobody.winner.hash, nobody.resolution_confidence) == (one, 0.0)
    put(
        engine,
        vote(one, 0.25),
        vote(two, 0.75, SIGNERS[1]),
        vote(one, -1, SIGNERS[2]),
        vote(two, 0.25, SIGNERS[3]),
    )
    voted = resolve(engine, "vote_aware_consensus")
    assert voted.winner is not None
    assert (voted.winner.hash, voted.resolution_confidence) == (two, 1.0)


# -- epochs --


def test_superseding_an_epoch_touches_one_record(engine: Engine) -> None:
    (old,) = put(engine, check_epoch(epoch("covid-2020")))
    under_old = bytes.fromhex(old)
    put(engine, *(checked(object=number(index), epoch=under_old, timestamp=NOW_S) for index in range(100)))
    (modern,) = put(engine, checked(object=number(-1), timestamp=NOW_S - 100))
    before = engine.log.head().seq
    (new,) = put(engine, check_epoch(epoch("covid-2021", old)))
    assert engine.log.head().seq == before + 1
    assert winner(engine, "epoch_aware") == modern
    assert winner(engine, "recency") != modern
    assert winning(engine, "recency").warnings == ["epoch_superseded"]
    assert len(page(engine, epoch=old).assertions) == 100
    assert winner(engine, "epoch_aware", known_at=str(before)) != modern
    assert show_epoch(engine.view, under_old, NOW_S).superseded_by == [new]


def view_rows(folder: Path) -> set[tuple[bytes, bytes, bytes]]:
    """Return every row of every table of a view that nobody has open: table, key, value."""
    with lmdb.open(str(folder), max_dbs=64, readonly=True, lock=False) as env, env.begin() as txn:
        tables = {name: env.open_db(name, txn, create=False) for name, _ in txn.cursor()}
        return {(name, key, value) for name, db in tables.items() for key, value in txn.cursor(db)}


def test_the_switch_writes_as_many_rows_under_a_hundred_claims_as_under_one(tmp_path: Path) -> None:
    written = []
    for count in (1, 100):
        folder = tmp_path / str(count)
        settings = EngineSettings(folder / "wal", folder / "db", folder / "keys", 1 << 20, 1)
        with closing(open_engine(settings)) as engine:
            (old,) = put(engine, check_epoch(epoch("old")))
            put(engine, *(checked(object=number(n), epoch=bytes.fromhex(old)) for n in range(count)))
        before = view_rows(folder / "db")
        with closing(open_engine(settings)) as engine:
            put(engine, check_epoch(epoch("new", old)))
        written.append(len(view_rows(folder / "db") - before))
    assert 1 <= written[0] == written[1] <= 8


def test_a_refinement_keeps_the_old_claims(engine: Engine) -> None:
    (old,) = put(engine, check_epoch(epoch("a")))
    (claim,) = put(engine, checked(epoch=bytes.fromhex(old)))
    put(engine, check_epoch(epoch("b", old, how=Supersession.REFINES)))
    assert winner(engine, "epoch_aware") == claim
    assert only(engine).warnings == []
    put(engine, check_epoch(epoch("c", old, how=Supersession.RETRACTS)))
    assert winner(engine, "epoch_aware") is None


def test_epochs_are_superseded_by_their_own_agent(engine: Engine) -> None:
    (old,) = put(engine, check_epoch(epoch("a")))
    stranger = epoch("b", old, signer=SIGNERS[1])
    with pytest.raises(Forbidden):
        put(engine, EpochChange(stranger, anyone=False))
    put(engine, EpochChange(epoch("c", old), anyone=False))
    put(engine, check_epoch(stranger))
    with pytest.raises(NotFound):
        put(engine, check_epoch(epoch("d", "ab" * 32)))
    with pytest.raises(Unprocessable):
        check_epoch(EpochRecord(epoch("x").epoch, bytes(64)))


# -- children --


@pytest.mark.parametrize(
    ("child", "hides"),
    [
        ({"lifecycle": Lifecycle.PROPOSED}, True),  # the same agent revises
        ({"lifecycle": Lifecycle.REJECTED}, True),
        ({"lifecycle": Lifecycle.PROPOSED, "by": 1}, False),  # a stranger's opinion
        ({"lifecycle": Lifecycle.APPROVED, "by": 1}, True),  # a reviewer's approval
        ({"lifecycle": Lifecycle.UNDER_REVIEW, "by": 1}, True),
        ({"lifecycle": Lifecycle.DEPRECATED, "by": 1}, False),
        ({"lifecycle": Lifecycle.REJECTED, "by": 1}, False),
        ({"lifecycle": Lifecycle.REJECTED, "by": 1, "admin": True}, True),
        ({"lifecycle": Lifecycle.APPROVED, "by": 1, "predicate": "other"}, False),
    ],
)
def test_which_child_hides_its_parent(engine: Engine, child: dict[str, Any], hides: bool) -> None:  # noqa: FBT001
    (parent,) = put(engine, checked(SIGNERS[0]))
    by = SIGNERS[child.pop("by", 0)]
    admin = bool(child.pop("admin", False))
    revision = checked(by, object=number(2), parent_hash=bytes.fromhex(parent), **child)
    (revised,) = put(engine, revision._replace(by_admin=admin))
    shown = hashes(page(engine, predicate=PREDICATE))
    assert (parent not in shown) == hides
    everything = {claim.hash: claim for claim in page(engine, predicate="*", lifecycle="any").assertions}
    assert everything[parent].hidden_by == (revised if hides else None)
    assert (
        show_claim(engine.view, bytes.fromhex(parent), NOW_S).reply.hidden_by == everything[parent].hidden_by
    )


def test_a_child_may_come_before_its_parent_and_hides_only_in_its_time(engine: Engine) -> None:
    parent = checked(timestamp=NOW_S - 100)
    (child,) = put(engine, checked(object=number(2), parent_hash=parent.id))
    put(engine, parent)
    assert hashes(page(engine)) == [child]
    assert hashes(page(engine, as_of=str(NOW_S - 50))) == [parent.id.hex()]


def test_a_lens_does_not_weigh_hidden_claims(engine: Engine) -> None:
    (parent,) = put(engine, checked(object=number(1)))
    (child,) = put(engine, checked(object=number(2), parent_hash=bytes.fromhex(parent), timestamp=NOW_S - 1))
    reply = resolve(engine, "recency")
    assert reply.winner is not None
    assert (reply.winner.hash, reply.candidates_count) == (child, 1)


def test_a_stage_filter_does_not_bring_hidden_claims_back(engine: Engine) -> None:
    (parent,) = put(engine, checked())
    put(engine, checked(parent_hash=bytes.fromhex(parent), lifecycle=Lifecycle.REJECTED))
    assert hashes(page(engine, lifecycle="proposed")) == []


# -- sources --


def test_a_retracted_source_leaves_the_lenses_and_warns(engine: Engine) -> None:
    put(engine, SourceChange(source(1)))
    (doubtful,) = put(engine, checked(object=number(1), source_hash=bytes([1]) * 32))
    (other,) = put(engine, checked(object=number(2), timestamp=NOW_S - 10))
    assert winner(engine, "recency") == doubtful
    put(engine, SourceStatusChange(status(1, SourceStatus.DISPUTED, NOW_S - 2)))
    assert winning(engine, "recency").warnings == ["source_disputed"]
    put(engine, SourceStatusChange(status(1, SourceStatus.RETRACTED)))
    assert winner(engine, "recency") == other
    shown = {claim.hash: claim for claim in page(engine).assertions}
    assert (shown[doubtful].source_status, shown[doubtful].warnings) == ("Retracted", ["source_retracted"])
    assert show_claim(engine.view, bytes.fromhex(doubtful), NOW_S).reply.source_status == "Retracted"
    impact = source_impact(engine.view, bytes([1]) * 32, Listing(), NOW_S)
    assert [claim.hash for claim in impact.claims] == [doubtful]
    assert impact.source.status == "Retracted"


def test_a_source_may_come_after_its_claims(engine: Engine) -> None:
    (claim,) = put(engine, checked(source_hash=bytes([7]) * 32))
    assert only(engine).source_status is None
    put(engine, SourceChange(source(7, status=SourceStatus.RETRACTED)))
    assert winner(engine, "recency") is None
    assert winner(engine, "recency", known_at="2") == claim


def test_sources_are_registered_once(engine: Engine) -> None:
    first = engine.submit_one(SourceChange(source(1, content="evidence")))
    again = engine.submit_one(SourceChange(source(1, content="evidence")))
    assert (first.status, again.status, again.seq) == ("created", "exists", first.seq)
    with pytest.raises(Conflict):
        put(engine, SourceChange(source(1, content="other")))
    with pytest.raises(NotFound):
        put(engine, SourceStatusChange(status(9, SourceStatus.ACTIVE)))
    assert engine.submit_one(SourceStatusChange(status(1, SourceStatus.ACTIVE))).status == "exists"
    assert show_source(engine.view, bytes([1]) * 32, NOW_S).content == "evidence"
    with pytest.raises(NotFound):
        show_source(engine.view, bytes([2]) * 32, NOW_S)


# -- aliases --


def test_aliases_join_questions_when_asked(engine: Engine) -> None:
    names = ["Ozempic", "Semaglutide", "Wegovy", "x" * 256]
    put(engine, *(AliasChange(alias(one, other)) for one, other in pairwise(names)))
    put(engine, AliasChange(alias("Wegovy", "Ozempic")))  # a circle does no harm
    claims = put(
        engine,
        *(
            checked(subject=name, object=number(index), timestamp=NOW_S - index)
            for index, name in enumerate(names)
        ),
    )
    assert hashes(page(engine, subject="Wegovy")) == [claims[2]]
    assert hashes(page(engine, subject="Wegovy", aliases="true")) == claims
    first = page(engine, subject="Wegovy", aliases="true", limit="3")
    assert first.next_cursor is not None
    rest = page(engine, subject="Wegovy", aliases="true", limit="3", cursor=first.next_cursor)
    assert hashes(first) + hashes(rest) == claims
    assert winner(engine, "recency", subject="x" * 256, aliases="true") == claims[0]
    assert hashes(page(engine, subject="Wegovy", aliases="true", known_at="1")) == []


def test_an_alias_is_made_once(engine: Engine) -> None:
    one = engine.submit_one(AliasChange(alias("a", "b")))
    assert engine.submit_one(AliasChange(alias("b", "a"))).status == "exists"
    assert show_alias(engine.view, one.id, NOW_S).alias == "b"
    with pytest.raises(NotFound):
        show_alias(engine.view, bytes(32), NOW_S)


# -- trust --


def test_a_gold_standard_judges_each_agent_once_by_its_newest_claim(engine: Engine) -> None:
    right, wrong, late, changed = SIGNERS[:4]
    put(
        engine,
        checked(right, object=number(1)),
        checked(wrong, object=number(2)),
        checked(changed, object=number(2), timestamp=NOW_S - 100),
        checked(changed, object=number(1), timestamp=NOW_S - 1),
    )
    (settled,) = put(engine, gold(number(1)))
    now_s = int(time.time())
    trusts = [show_agent(engine.view, each.agent_id, now_s).trust for each in (right, wrong, changed, late)]
    assert trusts == [0.55, 0.4, 0.55, 0.5]
    put(engine, checked(late, object=number(5)), checked(late, object=number(1), timestamp=NOW_S + 1))
    late_agent = show_agent(engine.view, late.agent_id, now_s)
    assert (late_agent.trust, late_agent.accurate, late_agent.inaccurate, late_agent.claims_count) == (
        0.4,
        0,
        1,
        2,
    )
    assert engine.submit_one(gold(number(1))).status == "exists"
    assert show_agent(engine.view, right.agent_id, now_s).accurate == 1
    assert show_gold_standard(engine.view, bytes.fromhex(settled), NOW_S).object.value == 1.0


def test_trust_drifts_and_travels_in_time(engine: Engine) -> None:
    put(engine, checked(object=number(2)))
    before = engine.log.head().seq
    put(engine, gold(number(1)))
    now_s = int(time.time())
    assert show_agent(engine.view, SIGNERS[0].agent_id, now_s).trust == 0.4
    assert show_agent(engine.view, SIGNERS[0].agent_id, now_s + 31 * DAY_S).trust == pytest.approx(
        0.45, abs=2e-3
    )
    score = resolve(engine, "trust_aware_authority", now_s, decay="false").resolution_confidence
    assert score == pytest.approx(0.9 * 0.3 * 0.4)
    then = resolve(engine, "trust_aware_authority", now_s, decay="false", known_at=str(before))
    assert then.resolution_confidence == pytest.approx(0.9 * 0.3 * 0.5)
    claimed_then = resolve(engine, "trust_aware_authority", now_s, decay="false", as_of=str(NOW_S))
    assert claimed_then.resolution_confidence == pytest.approx(0.9 * 0.3 * 0.5)
