"""Single things as they stood then: claims, traces, sources and agents at another moment than the present."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from stemedb.engine import AliasChange, Engine, SourceChange, SourceStatusChange, check_epoch
from stemedb.errors import Invalid, NotFound
from stemedb.model.claim import Tier
from stemedb.model.records import SourceStatus
from stemedb.query import (
    Listing,
    When,
    list_aliases,
    list_concepts,
    list_epochs,
    list_escalations,
    list_gold_standards,
    list_sources,
    read_when,
    show_agent,
    show_alias,
    show_claim,
    show_epoch,
    show_gold_standard,
    show_source,
    source_impact,
    trace,
)
from tests.builders import NOW_S, SIGNERS, checked, number
from tests.query.asking import alias, epoch, gold, put, source, status, vote

SOURCE = bytes([1]) * 32


@pytest.fixture
def story(engine: Engine) -> tuple[Engine, bytes, int]:
    """A claim and its source, then all that came to both; return the claim and the last seq before that."""
    put(engine, SourceChange(source(1)))
    (era,) = put(engine, check_epoch(epoch("era", at=NOW_S - 90)))
    claim = checked(timestamp=NOW_S - 50, source_hash=SOURCE, epoch=bytes.fromhex(era))
    (claim_id,) = put(engine, claim)
    before = engine.log.head().seq
    put(
        engine,
        checked(SIGNERS[1], timestamp=NOW_S - 50, source_hash=SOURCE, epoch=bytes.fromhex(era), at=NOW_S),
    )
    put(engine, vote(claim_id, 1.0), checked(object=number(2), parent_hash=claim.id, source_hash=SOURCE))
    put(engine, SourceStatusChange(status(1, SourceStatus.RETRACTED)))
    put(engine, check_epoch(epoch("later", era)), gold(number(1)))
    return engine, claim.id, before


@pytest.mark.parametrize("by", ["known_at", "as_of"])
def test_a_claim_and_its_trace_stand_as_they_stood(story: tuple[Engine, bytes, int], by: str) -> None:
    engine, claim_id, before = story
    then = When(known_at=before) if by == "known_at" else When(as_of=NOW_S - 10)
    old = show_claim(engine.view, claim_id, NOW_S, then).reply
    new = show_claim(engine.view, claim_id, NOW_S).reply
    assert (len(old.signatures), old.votes.count, old.source_status, old.hidden_by) == (1, 0, "Active", None)
    assert (len(new.signatures), new.votes.count, new.source_status) == (2, 1, "Retracted")
    assert new.hidden_by is not None
    traced = trace(engine.view, claim_id, NOW_S, then).reply
    assert (traced.children, traced.votes, traced.endorsements) == ([], [], [])
    assert traced.source is not None
    assert traced.source.status == "Active"
    assert traced.epoch is not None
    assert traced.epoch.superseded_by == []
    present = trace(engine.view, claim_id, NOW_S).reply
    assert [len(each) for each in (present.children, present.votes, present.endorsements)] == [1, 1, 1]


def test_sources_stand_as_they_stood(story: tuple[Engine, bytes, int]) -> None:
    engine, _, before = story
    then = When(known_at=before)
    assert show_source(engine.view, SOURCE, NOW_S, then).status == "Active"
    assert show_source(engine.view, SOURCE, NOW_S).status == "Retracted"
    impacts = [source_impact(engine.view, SOURCE, Listing(), NOW_S, when) for when in (then, When())]
    assert [(each.source.status, len(each.claims)) for each in impacts] == [("Active", 1), ("Retracted", 2)]
    assert list_sources(engine.view, Listing(), NOW_S, When(known_at=1)).sources == []
    with pytest.raises(NotFound):
        show_source(engine.view, SOURCE, NOW_S, When(known_at=1))


def test_an_agent_is_trusted_as_it_was(story: tuple[Engine, bytes, int]) -> None:
    engine, _, before = story
    now_s = int(time.time())
    agent = SIGNERS[0].agent_id
    old = show_agent(engine.view, agent, now_s, When(known_at=before))
    assert (old.trust, old.accurate, old.inaccurate) == (0.5, 0, 0)
    new = show_agent(engine.view, agent, now_s)
    assert (new.trust, new.inaccurate) == (0.4, 1)


@pytest.mark.parametrize("by", ["known_at", "as_of"])
def test_lists_stand_as_they_stood(engine: Engine, by: str) -> None:
    """Epochs, aliases, gold standards and subjects: first one of each, then one more."""
    (era,) = put(engine, check_epoch(epoch("era", at=NOW_S - 90)))
    put(engine, AliasChange(alias("a", "b", at=NOW_S - 90)), gold(number(1), at=NOW_S - 90))
    put(engine, checked(timestamp=NOW_S - 90))
    before = engine.log.head().seq
    put(
        engine, check_epoch(epoch("later", era)), AliasChange(alias("a", "c")), gold(number(2), predicate="x")
    )
    put(engine, checked(timestamp=NOW_S), checked(subject="elsewhere", timestamp=NOW_S))
    then = When(known_at=before) if by == "known_at" else When(as_of=NOW_S - 50)
    view, page = engine.view, Listing()
    epochs = [list_epochs(view, page, NOW_S, when).epochs for when in (then, When())]
    assert [[each.name for each in found] for found in epochs] == [["era"], ["era", "later"]]
    assert [len(found[0].superseded_by) for found in epochs] == [0, 1]
    aliases = [list_aliases(view, page, NOW_S, when).aliases for when in (then, When())]
    golds = [list_gold_standards(view, page, NOW_S, when).gold_standards for when in (then, When())]
    assert [len(each) for each in aliases] == [len(each) for each in golds] == [1, 2]
    one_of_each: tuple[tuple[Callable[..., object], str], ...] = (
        (show_epoch, epochs[1][1].id),
        (show_alias, aliases[1][1].id),
        (show_gold_standard, golds[1][1].id),
    )
    for show, content_id in one_of_each:
        assert show(view, bytes.fromhex(content_id), NOW_S)
        with pytest.raises(NotFound):
            show(view, bytes.fromhex(content_id), NOW_S, then)
    concepts = [list_concepts(view, "", page, NOW_S, when).concepts for when in (then, When())]
    assert [[each.claims_count for each in found] for found in concepts] == [[1], [2, 1]]
    assert [[each.predicates_count for each in found] for found in concepts] == [[1], [1, 1]]


def test_a_crowd_escalated_then_although_somebody_stands_above_it_now(engine: Engine) -> None:
    crowd = [checked(object=number(n), source_class=Tier.ANECDOTAL, timestamp=NOW_S - 90) for n in range(500)]
    put(engine, *crowd[:499])
    before = engine.log.head().seq
    put(engine, crowd[499])
    there = engine.log.head().seq
    put(engine, checked(source_class=Tier.CLINICAL, timestamp=NOW_S - 10))
    moments = [When(known_at=before), When(known_at=there), When(as_of=NOW_S - 50), When()]
    found = [list_escalations(engine.view, Listing(), NOW_S, when).escalations for when in moments]
    assert [[each.claims_count for each in crowds] for crowds in found] == [[], [500], [500], []]


def test_moments_that_cannot_be_are_refused(story: tuple[Engine, bytes, int]) -> None:
    engine, claim_id, _ = story
    for when in (When(as_of=NOW_S + 1), When(known_at=10**6), When(known_at_us=(NOW_S + 9) * 10**6)):
        with pytest.raises(Invalid):
            show_claim(engine.view, claim_id, NOW_S, when)
    with pytest.raises(NotFound):
        show_claim(engine.view, claim_id, NOW_S, When(as_of=NOW_S - 60))


def test_read_when() -> None:
    assert read_when({}) == When()
    assert read_when({"as_of": "5", "known_at": "7"}) == When(5, 7)
    assert read_when({"known_at": "1970-01-01T00:00:01Z"}) == When(None, None, 1_000_000)
    with pytest.raises(Invalid) as refused:
        read_when({"as_of": "x", "known_at": "0"})
    assert {fault.pointer for fault in refused.value.faults} == {"/as_of", "/known_at"}
