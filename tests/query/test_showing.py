"""What is shown beside single answers: layers, rules, neighbours, changes, lists, traces, the feed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stemedb.engine import (
    AliasChange,
    Engine,
    SourceChange,
    SourceStatusChange,
    check_epoch,
    read_feed,
)
from stemedb.errors import Conflict, Invalid, NotFound
from stemedb.model import Tier
from stemedb.model.records import SourceStatus
from stemedb.model.replies import ChangesReply, ConstraintsReply, LayeredReply
from stemedb.query import (
    Listing,
    ask,
    ask_constraints,
    ask_layered,
    list_aliases,
    list_concepts,
    list_epochs,
    list_escalations,
    list_gold_standards,
    list_sources,
    trace,
)
from tests.builders import NOW_S, SIGNERS, checked, number, text
from tests.query.asking import (
    PREDICATE,
    SUBJECT,
    alias,
    epoch,
    gold,
    hashes,
    page,
    put,
    question,
    source,
    status,
    vote,
)

# -- layers, rules, neighbours, changes --


def test_layers(engine: Engine) -> None:
    put(
        engine,
        *(
            checked(SIGNERS[i % 8], object=number(1), source_class=Tier.ANECDOTAL, timestamp=NOW_S - i)
            for i in range(50)
        ),
    )
    clinical = [checked(SIGNERS[i], object=number(2 + i), source_class=Tier.CLINICAL) for i in range(2)]
    put(engine, *clinical)
    reply = ask_layered(engine.view, question(predicate=PREDICATE), NOW_S).reply
    assert isinstance(reply, LayeredReply)
    assert [(layer.tier, layer.candidates_count) for layer in reply.tiers] == [(1, 2), (5, 50)]
    assert reply.tiers[0].conflict_score > 0.5
    assert reply.tiers[1].conflict_score == 0
    assert reply.winner == reply.tiers[0].winner
    assert 0 < reply.cross_tier_conflict < 1


def test_rules(engine: Engine) -> None:
    put(engine, SourceChange(source(3, title="RFC 7519")))
    put(
        engine,
        checked(
            predicate="must_use",
            object=text("RS256"),
            source_class=Tier.REGULATORY,
            source_hash=bytes([3]) * 32,
        ),
        checked(predicate="must_use", object=text("RS256"), source_class=Tier.ANECDOTAL),
        checked(predicate="forbidden", object=text("none"), source_class=Tier.EXPERT),
        checked(predicate="likes", object=text("cats")),
    )
    reply = ask_constraints(engine.view, question(), NOW_S).reply
    assert isinstance(reply, ConstraintsReply)
    assert [(rule.rule, rule.value.value, rule.reason) for rule in reply.constraints] == [
        ("must_use", "RS256", "RFC 7519"),
        ("forbidden", "none", None),
    ]
    assert ask(engine.view, question(lens="constraints"), NOW_S).reply == reply
    only_forbidden = ask(engine.view, question(lens="constraints", predicate="forbidden"), NOW_S).reply
    assert isinstance(only_forbidden, ConstraintsReply)
    assert len(only_forbidden.constraints) == 1
    with pytest.raises(Invalid):
        ask_constraints(engine.view, question(predicate="likes"), NOW_S)


def test_pictures_that_look_alike(engine: Engine) -> None:
    near, far, _ = put(
        engine,
        checked(visual_hash=bytes(7) + b"\x0f", object=number(1), timestamp=NOW_S - 1),
        checked(visual_hash=b"\xff" * 8, object=number(2)),
        checked(object=number(3)),
    )
    ask_for: dict[str, Any] = {"predicate": PREDICATE, "visual_near": "0" * 16}
    assert hashes(page(engine, **ask_for)) == [near]
    assert hashes(page(engine, **ask_for, visual_threshold="3")) == []
    assert hashes(page(engine, **ask_for, visual_threshold="64")) == [far, near]
    with pytest.raises(Invalid):
        page(engine, visual_near="0" * 16)


def test_nearest_neighbours(engine: Engine) -> None:
    packed = {"east": "0000803f00000000", "north": "000000000000803f", "north-east": "0000803f0000803f"}
    east, north, between = put(
        engine, *(checked(object=text(name), vector=bytes.fromhex(raw)) for name, raw in packed.items())
    )
    put(
        engine,
        checked(object=text("zero"), vector=bytes(8)),
        checked(object=text("3d"), vector=bytes.fromhex("0000803f" * 3)),
    )
    asked: dict[str, Any] = {"predicate": PREDICATE}
    assert hashes(page(engine, **asked, vector_near="1,0.1")) == [east, between, north]
    assert hashes(page(engine, **asked, vector_near=north, k="2")) == [north, between]
    for bad in ("0,0", "ab" * 32, "1,x", ",".join(["1"] * 5000)):
        with pytest.raises((Invalid, NotFound)):
            page(engine, **asked, vector_near=bad)


def test_since_gives_the_records_about_a_question(engine: Engine) -> None:
    (claim,) = put(engine, checked())
    put(engine, checked(subject="other"))
    put(engine, checked(SIGNERS[1]), vote(claim, 1.0))
    put(engine, checked(object=number(2)))

    def since(**params: str) -> list[tuple[int, str]]:
        reply = ask(engine.view, question(predicate=PREDICATE, **params), NOW_S).reply
        assert isinstance(reply, ChangesReply)
        return [(record.seq, record.type) for record in reply.changes]

    everything = [(2, "assertion"), (4, "endorsement"), (5, "vote"), (6, "assertion")]
    assert since(since="1") == everything
    assert since(since="1970-01-01T00:00:00Z") == everything
    assert since(since="4") == everything[2:]
    assert since(since="1", limit="1") == everything[:1]
    assert since(since="1", known_at="5") == everything[:3]
    assert since(since="6") == []
    with pytest.raises(Invalid):
        since(since="7")


# -- lists, traces, the feed --


def test_lists_page_through_everything(engine: Engine) -> None:
    put(engine, *(AliasChange(alias("a", f"b{index}")) for index in range(5)))
    for index in range(5):
        put(engine, SourceChange(source(index + 1)))
        put(engine, check_epoch(epoch(f"epoch {index}")))
        put(engine, gold(number(index), predicate=f"p{index}"))
        put(engine, checked(subject=f"drug/{index}"), checked(subject=f"drug/{index}", predicate="x"))
    put(engine, checked(subject="elsewhere"))
    calls: dict[str, Callable[[Listing], Any]] = {
        "sources": lambda listing: list_sources(engine.view, listing, NOW_S),
        "epochs": lambda listing: list_epochs(engine.view, listing, NOW_S),
        "aliases": lambda listing: list_aliases(engine.view, listing, NOW_S),
        "gold_standards": lambda listing: list_gold_standards(engine.view, listing, NOW_S),
        "concepts": lambda listing: list_concepts(engine.view, "drug/", listing, NOW_S),
    }
    for name, call in calls.items():
        whole = getattr(call(Listing(100)), name)
        assert len(whole) == 5
        found, cursor = [], None
        while True:
            reply = call(Listing(2, cursor))
            found += getattr(reply, name)
            cursor = reply.next_cursor
            if cursor is None:
                break
        assert found == whole, name
    assert list_concepts(engine.view, "drug/", Listing(1), NOW_S).concepts[0].claims_count == 2
    stolen = list_sources(engine.view, Listing(2), NOW_S).next_cursor
    with pytest.raises(Invalid, match="another question"):
        list_aliases(engine.view, Listing(2, stolen), NOW_S)
    with pytest.raises(Invalid, match="not a cursor"):
        list_aliases(engine.view, Listing(2, "zz"), NOW_S)


def test_a_crowd_with_nobody_above_it_escalates(engine: Engine) -> None:
    crowd = [checked(SIGNERS[0], object=number(i), source_class=Tier.ANECDOTAL) for i in range(500)]
    put(engine, *crowd[:499])
    assert list_escalations(engine.view, Listing(), NOW_S).escalations == []
    put(engine, crowd[499], checked(source_class=Tier.EXPERT))
    (found,) = list_escalations(engine.view, Listing(), NOW_S).escalations
    assert (found.kind, found.subject, found.predicate, found.claims_count) == (
        "anecdotal_cluster",
        SUBJECT,
        PREDICATE,
        500,
    )
    put(engine, checked(source_class=Tier.CLINICAL))
    assert list_escalations(engine.view, Listing(), NOW_S).escalations == []


def test_trace_shows_where_a_claim_comes_from(engine: Engine) -> None:
    put(engine, SourceChange(source(1)))
    (era,) = put(engine, check_epoch(epoch("era")))
    (root,) = put(engine, checked(object=number(0)))
    (middle,) = put(
        engine,
        checked(
            object=number(1),
            parent_hash=bytes.fromhex(root),
            source_hash=bytes([1]) * 32,
            epoch=bytes.fromhex(era),
        ),
    )
    (leaf,) = put(engine, checked(object=number(2), parent_hash=bytes.fromhex(middle)))
    put(
        engine,
        vote(middle, 0.5, at=NOW_S - 1),
        vote(middle, 0.7),
        checked(SIGNERS[1], object=number(2), parent_hash=bytes.fromhex(middle)),
    )
    reply = trace(engine.view, bytes.fromhex(middle), NOW_S).reply
    assert [claim.hash for claim in reply.parents] == [root]
    assert [claim.hash for claim in reply.children] == [leaf]
    assert [(each.weight, each.live) for each in reply.votes] == [(0.5, False), (0.7, True)]
    assert reply.source is not None
    assert reply.source.title == "Source 1"
    assert reply.epoch is not None
    assert reply.epoch.name == "era"
    up = trace(engine.view, bytes.fromhex(leaf), NOW_S).reply
    assert [claim.hash for claim in up.parents] == [middle, root]
    assert [each.agent_id for each in up.endorsements] == [SIGNERS[1].agent_id.hex()]
    with pytest.raises(NotFound):
        trace(engine.view, bytes(32), NOW_S)


def test_superseding_needs_a_parent_about_the_same(engine: Engine) -> None:
    (parent,) = put(engine, checked())
    child = checked(object=number(2), parent_hash=bytes.fromhex(parent))
    put(engine, child._replace(supersedes=True))
    with pytest.raises(Conflict):
        put(engine, checked(predicate="other", parent_hash=bytes.fromhex(parent))._replace(supersedes=True))
    with pytest.raises(NotFound):
        put(engine, checked(parent_hash=bytes([9]) * 32)._replace(supersedes=True))
    with pytest.raises(Invalid):
        put(engine, checked(object=number(3))._replace(supersedes=True))


def test_the_feed_shows_every_record(engine: Engine) -> None:
    (claim,) = put(engine, checked())
    put(engine, checked(SIGNERS[1]), vote(claim, 1.0))
    for change in (
        check_epoch(epoch("e")),
        SourceChange(source(1)),
        SourceStatusChange(status(1, SourceStatus.DISPUTED)),
        AliasChange(alias("a", "b")),
        gold(number(96.7)),
    ):
        put(engine, change)
    feed = read_feed(engine.log, 0, 100)
    assert [record.type for record in feed.records] == [
        "genesis",
        "assertion",
        "endorsement",
        "vote",
        "epoch",
        "source",
        "source_status",
        "alias",
        "gold_standard",
        "judgement",
        "judgement",
    ]
    assert [record.seq for record in feed.records] == list(range(1, 12))
    assert feed.next == 11
    assert read_feed(engine.log, 11, 100).next == 11
    assert [record.seq for record in read_feed(engine.log, 4, 2).records] == [5, 6]
    assertion = feed.records[1].body
    assert assertion is not None
    assert (assertion["hash"], assertion["subject"]) == (claim, SUBJECT)
