"""The client and the real service: what one signs, the other stores, and both agree on every byte."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from stemedb.client import Client, Filters, sign
from stemedb.errors import Invalid, NotFound, Unprocessable
from stemedb.model import (
    Assertion,
    Lifecycle,
    ObjectKind,
    SignedAssertion,
    Signer,
    Tier,
    Value,
    assertion_id,
    canonical_bytes,
    signature_message,
)
from tests.e2e.service import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

ALICE, BOB = Signer(bytes(32)), Signer(bytes([1]) * 32)
EVERYTHING = Assertion(
    subject="person://zoë 🙂",
    predicate="p",
    object=Value(ObjectKind.NUMBER, -0.1),
    confidence=0.3333333333333333,
    timestamp=1_700_000_000,
    source_class=Tier.CLINICAL,
    source_hash=bytes([7]) * 32,
    lifecycle=Lifecycle.UNDER_REVIEW,
    epoch=bytes([8]) * 32,
    parent_hash=bytes([9]) * 32,
    visual_hash=bytes(8),
    vector=bytes.fromhex("0000803f000000bf"),
)


def text(subject: str, value: str = "x", at: int = 1_700_000_000) -> Assertion:
    return Assertion(subject, "p", Value(ObjectKind.TEXT, value), 1.0, at)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    running = ServiceProcess(tmp_path_factory.mktemp("client")).start()
    yield running
    running.close()


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[Client]:
    with Client(service.url) as connected:
        yield connected


def test_a_claim_with_every_field_comes_back_verified(client: Client) -> None:
    stored = client.assert_claim(sign(EVERYTHING, ALICE, BOB))
    assert (stored.status, stored.hash) == ("created", assertion_id(canonical_bytes(EVERYTHING)).hex())
    claim = client.assertion(stored.hash)
    assert {each.agent_id for each in claim.signatures} == {ALICE.agent_id.hex(), BOB.agent_id.hex()}
    assert (claim.seq, claim.vector, claim.confidence) == (stored.seq, [1.0, -0.5], EVERYTHING.confidence)
    found = client.query(EVERYTHING.subject, filters=Filters(lifecycle="any", epoch="08" * 32)).assertions
    assert [each.hash for each in found] == [stored.hash]


def test_prepare_agrees_on_what_is_to_be_signed(client: Client) -> None:
    prepared = client.prepare(SignedAssertion(EVERYTHING), signature_timestamp=1_700_000_005)
    content_id = assertion_id(canonical_bytes(EVERYTHING))
    assert prepared.canonical == canonical_bytes(EVERYTHING).hex()
    assert prepared.hash == content_id.hex()
    assert prepared.message == signature_message(content_id, 1_700_000_005).hex()


def test_assertion_says_what_is_missing_or_no_id(client: Client) -> None:
    with pytest.raises(NotFound):
        client.assertion("00" * 32)
    for wrong in ("", "00", "AB" * 32, "../health"):
        with pytest.raises(Invalid):
            client.assertion(wrong)


def test_assert_passes_the_servers_refusals_on(client: Client) -> None:
    genuine = sign(text("refused"), ALICE)
    other = SignedAssertion(text("refused", "y"), genuine.signatures)
    with pytest.raises(Unprocessable):
        client.assert_claim(other)
    with pytest.raises(Invalid) as caught:
        client.assert_claim(sign(text("refused", at=int(time.time()) + 3600), ALICE))
    assert any(fault.pointer == "/timestamp" for fault in caught.value.faults)
    with pytest.raises(Invalid):
        client.assert_claim(SignedAssertion(text("unsigned")))


def test_claims_reads_every_page_as_of_the_first_ones_moment(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemedb.limits.PAGE_ITEMS_MAX", 7)
    claims = [sign(text("pages", str(number), 1_700_000_000 + number), ALICE) for number in range(20)]
    assert [each.status for each in client.bulk(claims)] == ["created"] * 20
    pages = client.claims("pages")
    first = next(pages)
    client.assert_claim(sign(text("pages", "later", 1_700_000_500), ALICE))
    values = [str(claim.object.value) for claim in (first, *pages)]
    assert values == [str(number) for number in reversed(range(20))]


def test_bulk_goes_over_many_batches_in_order(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.limits.CLIENT_BATCH_LINES_MAX", 10)
    good = [sign(text("bulk", str(number)), ALICE) for number in range(25)]
    forged = SignedAssertion(text("bulk", "forged"), good[0].signatures)
    results = list(client.bulk([*good[:12], forged, *good[12:], good[0], sign(text("bulk", "1"), BOB)]))
    assert [each.line for each in results] == list(range(1, 29))
    assert isinstance(results[12].error, Unprocessable)
    assert [each.status for each in results if each.error is None] == ["created"] * 25 + [
        "exists",
        "endorsed",
    ]


def test_query_by_lens_and_skeptic_answer_nothing_with_nothing(client: Client) -> None:
    assert client.query("nobody", "p", lens="consensus").winner is None
    assert client.skeptic("nobody", "p").status == "Empty"
    assert client.query("nobody").assertions == []


def test_filters_narrow_and_clocks_move(client: Client) -> None:
    for signer, value, at in ((ALICE, "old", 1_600_000_000), (BOB, "new", 1_700_000_000)):
        client.assert_claim(sign(text("filters", value, at), signer))

    def values(filters: Filters) -> list[object]:
        return [claim.object.value for claim in client.query("filters", filters=filters).assertions]

    assert values(Filters()) == ["new", "old"]
    assert values(Filters(agent_id=ALICE.agent_id.hex())) == ["old"]
    assert values(Filters(as_of=1_650_000_000)) == ["old"]
    assert values(Filters(as_of="2021-01-01T00:00:00Z")) == ["old"]
    assert values(Filters(source_class=("Clinical", "Expert"))) == []
    assert values(Filters(source_class=("Clinical", "Community"))) == ["new", "old"]
    first_seq = min(claim.seq for claim in client.query("filters").assertions)
    assert values(Filters(known_at=first_seq)) == ["old"]
    undecayed = client.query("filters", filters=Filters(decay=False)).assertions
    assert [claim.effective_confidence for claim in undecayed] == [1.0, 1.0]
