"""Votes, epochs, sources, corrections, aliases, gold standards, lists and the feed, over the real service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import msgspec
import pytest

from stemedb.client import Client, Filters, pages, sign
from stemedb.client.verify import verify_epoch, verify_record, verify_trace
from stemedb.errors import Conflict, Invalid, NotFound, Unprocessable
from stemedb.model import Assertion, ObjectKind, Signer, Tier, Value
from stemedb.model.replies import EpochOut, RecordOut, TraceReply
from stemedb.model.statements import Supersession
from stemedb.model.statements_wire import SourceIn
from tests.client.peer import HANG_UP, Peer, reply
from tests.e2e.service import ServiceProcess

ALICE, BOB = Signer(bytes([21]) * 32), Signer(bytes([22]) * 32)
AT = 1_700_000_000


def claim(subject: str, value: str = "x", at: int = AT, **fields: object) -> Assertion:
    content = Assertion(subject, "p", Value(ObjectKind.TEXT, value), 1.0, at)
    return msgspec.structs.replace(content, **fields)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    running = ServiceProcess(tmp_path_factory.mktemp("client")).start()
    yield running
    running.close()


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[Client]:
    with Client(service.url) as connected:
        yield connected


@pytest.fixture
def traced(client: Client) -> TraceReply:
    """Return the trace of a claim that has a parent, a vote, an endorsement, a source and an epoch."""
    epoch = client.begin_epoch("traced", ALICE, timestamp=AT).id
    source_hash = bytes([40]) * 32
    client.add_source(SourceIn(source_hash.hex(), "A paper", timestamp=AT))
    parent = client.assert_claim(sign(claim("traced", "old"), ALICE)).hash
    content = claim(
        "traced", at=AT + 1, parent_hash=bytes.fromhex(parent), source_hash=source_hash,
        epoch=bytes.fromhex(epoch),
    )  # fmt: skip
    child = client.supersede(sign(content, ALICE)).hash
    client.assert_claim(sign(content, BOB))
    client.vote(child, 0.5, BOB, timestamp=AT + 2)
    return client.trace(child)


def test_vote_counts_the_last_word_and_again_exists(client: Client) -> None:
    voted = client.assert_claim(sign(claim("voted"), ALICE)).hash
    first = client.vote(voted, 0.5, BOB, timestamp=AT + 1)
    again = client.vote(voted, 0.5, BOB, timestamp=AT + 1)
    assert (first.status, again.status, again.id) == ("created", "exists", first.id)
    client.vote(voted, -1, BOB, timestamp=AT + 2)
    votes = client.assertion(voted).votes
    assert (votes.count, votes.weight) == (1, -1.0)
    with pytest.raises(NotFound):
        client.vote("00" * 32, 1, BOB)
    for wrong in (1e9, float("nan")):
        with pytest.raises(Invalid, match="/weight: must be from -1 to 1"):
            client.vote(voted, wrong, BOB)


def test_epoch_supersedes_another(client: Client) -> None:
    old = client.begin_epoch("criteria 2019", ALICE, timestamp=AT).id
    with_epoch = claim("epochal", "old", AT + 5, epoch=bytes.fromhex(old))
    client.assert_claim(sign(with_epoch, ALICE))
    client.assert_claim(sign(claim("epochal", "new"), BOB))
    new = client.begin_epoch(
        "criteria 2024", ALICE, supersedes=old, supersession=Supersession.RETRACTS, timestamp=AT + 1
    )
    assert client.epoch(old).superseded_by == [new.id]
    assert client.epoch(new.id).supersession == "Retracts"
    listed = [each.id for page in pages(lambda at: client.epochs(limit=1, cursor=at)) for each in page.epochs]
    assert listed.index(old) < listed.index(new.id)
    answers = [client.query("epochal", "p", lens=lens).winner for lens in ("recency", "epoch_aware")]
    assert [each and each.object.value for each in answers] == ["old", "new"]
    with pytest.raises(NotFound):
        client.begin_epoch("orphan", ALICE, supersedes="00" * 32)


def test_source_retracted_leaves_answers_and_its_impact_stays(client: Client) -> None:
    source_hash = "31" * 32
    source = SourceIn(source_hash, "A study", "https://example.org/s", "Clinical", content="text 🙂")
    assert client.add_source(source).status == "created"
    assert client.add_source(source).status == "exists"
    with pytest.raises(Conflict):
        client.add_source(SourceIn(source_hash, "Another study"))
    rests = client.assert_claim(sign(claim("sourced", source_hash=bytes.fromhex(source_hash)), ALICE)).hash
    assert client.set_source_status(source_hash, "Retracted").status == "created"
    assert client.query("sourced", "p", lens="recency").winner is None
    assert client.source(source_hash).content == "text 🙂"
    found = client.impact(source_hash)
    assert (found.source.status, [each.hash for each in found.claims]) == ("Retracted", [rests])
    assert source_hash in {each.source_hash for each in client.sources(limit=1000).sources}


def test_supersede_needs_a_parent_about_the_same(client: Client) -> None:
    parent = client.assert_claim(sign(claim("superseded", "old"), ALICE)).hash
    parent_hash = bytes.fromhex(parent)
    new = client.supersede(sign(claim("superseded", "new", AT + 1, parent_hash=parent_hash), ALICE))
    assert [each.hash for each in client.query("superseded").assertions] == [new.hash]
    with pytest.raises(Conflict):
        client.supersede(sign(claim("something else", parent_hash=parent_hash), ALICE))
    with pytest.raises(NotFound):
        client.supersede(sign(claim("superseded", parent_hash=bytes(32)), ALICE))


def test_alias_is_followed_where_asked_for(client: Client) -> None:
    client.assert_claim(sign(claim("Ozempic"), ALICE))
    made = client.add_alias("Semaglutide", "Ozempic", timestamp=AT)
    assert client.add_alias("Ozempic", "Semaglutide", timestamp=AT).id == made.id
    assert client.alias(made.id).subject == "Ozempic"
    assert made.id in {each.id for each in client.aliases(limit=1000).aliases}
    assert client.query("Semaglutide").assertions == []
    assert len(client.query("Semaglutide", filters=Filters(aliases=True)).assertions) == 1


def test_gold_standard_moves_trust(client: Client) -> None:
    good, bad = Signer(bytes([23]) * 32), Signer(bytes([24]) * 32)
    client.assert_claim(sign(claim("settled", "right"), good))
    client.assert_claim(sign(claim("settled", "wrong"), bad))
    settled = client.add_gold_standard("settled", "p", Value(ObjectKind.TEXT, "right"), timestamp=AT)
    trusts = [client.agent(each.agent_id.hex()) for each in (good, bad)]
    assert [(each.accurate, each.inaccurate) for each in trusts] == [(1, 0), (0, 1)]
    assert [round(each.trust, 3) for each in trusts] == [0.55, 0.4]
    assert client.gold_standard(settled.id).object.value == "right"
    assert settled.id in {each.id for each in client.gold_standards(limit=1000).gold_standards}
    number = client.add_gold_standard("settled", "n", Value(ObjectKind.NUMBER, 5), timestamp=AT)
    assert client.gold_standard(number.id).object.value == 5.0


def test_lenses_without_a_winner_are_methods_of_their_own(client: Client) -> None:
    for value, tier in (("a", Tier.CLINICAL), ("b", Tier.CLINICAL), ("c", Tier.ANECDOTAL)):
        client.assert_claim(sign(claim("layers", value, int(time.time()), source_class=tier), ALICE))
    layers = client.layered("layers", "p")
    assert [each.source_class for each in layers.tiers] == ["Clinical", "Anecdotal"]
    assert [each.conflict_score for each in layers.tiers] == [1.0, 0.0]
    rule = msgspec.structs.replace(claim("layers", "a seat belt"), predicate="must_use")
    client.assert_claim(sign(rule, ALICE))
    assert [each.value.value for each in client.constraints("layers").constraints] == ["a seat belt"]
    assert client.constraints("layers", "forbidden").constraints == []
    with pytest.raises(Invalid, match="constraints"):
        client.query("layers", "p", lens="constraints")


def test_concepts_and_escalations_list_what_there_is(client: Client) -> None:
    for name in ("concept/a", "concept/b", "other"):
        client.assert_claim(sign(claim(name), ALICE))
    listed = [
        each
        for page in pages(lambda at: client.concepts("concept/", limit=1, cursor=at))
        for each in page.concepts
    ]
    assert [(each.subject, each.claims_count) for each in listed] == [("concept/a", 1), ("concept/b", 1)]
    assert client.escalations().escalations == []


def test_query_finds_what_is_near(client: Client) -> None:
    far = claim("near", "far", visual_hash=bytes([255]) * 8, vector=bytes.fromhex("0000803f000000bf"))
    close = claim("near", "close", visual_hash=bytes(8), vector=bytes.fromhex("0000803f0000803f"))
    for each in (far, close):
        client.assert_claim(sign(each, ALICE))

    def values(**filters: object) -> list[object]:
        found = client.query("near", "p", filters=Filters(**filters)).assertions  # type: ignore[arg-type]
        return [each.object.value for each in found]

    assert values(visual_near="0000000000000001") == ["close"]
    assert len(values(visual_near="0000000000000001", visual_threshold=64)) == 2
    assert values(vector_near=(1e-7, 1e-7), k=1) == ["close"]
    assert values(vector_near=[1, -0.5]) == ["far", "close"]


def test_changes_and_follow_show_what_was_said_in_order(client: Client) -> None:
    start = client.health().seq
    voted = client.assert_claim(sign(claim("changing"), ALICE)).hash
    client.vote(voted, 1, BOB, timestamp=AT)
    client.assert_claim(sign(claim("changing"), BOB))
    types = ["assertion", "vote", "endorsement"]
    assert [each.type for each in client.changes("changing", "p", start).changes] == types
    assert [each.type for each in islice(client.follow(start), 3)] == types
    head = client.health().seq
    began_s = time.monotonic()
    assert client.feed(head, wait_s=0.3).records == []
    assert time.monotonic() - began_s >= 0.3
    with pytest.raises(Invalid):
        client.feed(head + 1000)


def test_feed_of_everything_is_verified(client: Client, traced: TraceReply) -> None:
    assert traced.source is not None
    head = client.health().seq
    seen = list(islice(client.follow(), head))
    assert [each.seq for each in seen] == list(range(1, head + 1))


def test_reads_carry_the_position_of_the_last_write() -> None:
    created = reply(201, {"id": "", "seq": 7, "status": "created"}, "Stemedb-Seq: 8")
    answer: dict[str, object] = {"assertions": [], "next_cursor": None}
    with (
        Peer(reply(200, answer), created, reply(200, answer), reply(200, answer)) as peer,
        Client(peer.url) as client,
    ):
        client.query("s")
        with pytest.raises(Unprocessable):
            client.vote("00" * 32, 1, ALICE)
        assert client.position == 8
        client.query("s")
        client.reach(12)
        client.reach(3)
        client.query("s")
    sent = [each.head.partition("Stemedb-Min-Seq: ")[2].partition("\r")[0] for each in peer.heard]
    assert sent == ["", "", "8", "12"]


def test_a_vote_is_sent_again_the_same_after_a_lost_connection() -> None:
    with Peer(HANG_UP, HANG_UP, reply(404, {"status": 404})) as peer, Client(peer.url) as client:
        with pytest.raises(NotFound):
            client.vote("00" * 32, 1, ALICE)
        assert len({each.body for each in peer.heard}) == 1
        assert len(peer.heard) == 3


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("votes", {"weight": 1.0}),
        ("votes", {"timestamp": 5}),
        ("votes", {"agent_id": ALICE.agent_id.hex()}),
        ("votes", {"weight": 17.0}),
        ("endorsements", {"signature": "00" * 64}),
        ("epoch", {"name": "another"}),
        ("epoch", {"supersession": "Retracts"}),
        ("epoch", {"signature": "zz"}),
    ],
)
def test_trace_notices_what_was_changed(traced: TraceReply, part: str, change: dict[str, object]) -> None:
    verify_trace(traced)
    whole = getattr(traced, part)
    changed = msgspec.structs.replace(whole[0] if isinstance(whole, list) else whole, **change)
    forged = msgspec.structs.replace(
        traced, **{part: [changed, *whole[1:]] if isinstance(whole, list) else changed}
    )
    with pytest.raises(Unprocessable) as caught:
        verify_trace(forged)
    assert caught.value.reason == "reply_unverified"
    if isinstance(changed, EpochOut):
        with pytest.raises(Unprocessable):
            verify_epoch(changed)


def test_records_that_were_changed_are_noticed(client: Client, traced: TraceReply) -> None:
    first = traced.parents[0].seq
    wanted = {"assertion", "vote", "endorsement", "epoch"}
    records = {each.type: each for each in client.feed(first - 3, limit=20).records}
    assert wanted <= set(records)
    for kind in wanted:
        body = records[kind].body
        assert body is not None
        for field, value in (("timestamp", 5), ("claim_id", "00" * 32), ("surprise", 1), ("weight", 0.1)):
            if field in body or field == "surprise":
                if kind == "endorsement" and field == "surprise":
                    continue
                forged = RecordOut(first, kind, 1, {**body, field: value})
                with pytest.raises(Unprocessable):
                    verify_record(forged)
