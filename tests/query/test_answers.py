"""Questions against a real view: filters, order, pages, moments, resolutions."""

from __future__ import annotations

import base64

import msgspec
import pytest

from stemedb.engine import Engine
from stemedb.errors import Invalid, NotFound, QueryTimeout, Unprocessable
from stemedb.model import Lifecycle, Tier
from stemedb.model.tiers import DAY_S
from stemedb.query import ask, ask_skeptic, show_claim
from tests.builders import NOW_S, SIGNERS, checked, number, text
from tests.query.asking import hashes, page, put, question, resolve


def test_a_page_is_newest_first_then_smaller_id(engine: Engine) -> None:
    put(engine, *(checked(object=number(index), timestamp=NOW_S - index % 3) for index in range(12)))
    claims = page(engine).assertions
    assert [(-claim.timestamp, claim.hash) for claim in claims] == sorted(
        (-claim.timestamp, claim.hash) for claim in claims
    )


def test_pages_neither_lose_nor_repeat_while_writes_go_on(engine: Engine) -> None:
    put(engine, *(checked(object=number(index), predicate=f"p{index % 4}") for index in range(25)))
    expected = hashes(page(engine, predicate="*", limit="1000"))
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        reply = page(engine, NOW_S + len(found), predicate="*", limit="7", **cursor)
        found += hashes(reply)
        put(engine, checked(object=number(1000 + len(found)), predicate="p0"))
        if reply.next_cursor is None:
            break
        cursor = {"cursor": reply.next_cursor}
    assert found == expected


def test_a_full_last_page_has_no_cursor(engine: Engine) -> None:
    put(engine, *(checked(object=number(index)) for index in range(4)))
    assert page(engine, limit="4").next_cursor is None
    assert page(engine, limit="3").next_cursor is not None


def test_filters(engine: Engine) -> None:
    fda, old, approved, endorsed = put(
        engine,
        checked(SIGNERS[1], source_class=Tier.REGULATORY, object=number(1)),
        checked(timestamp=NOW_S - 90 * DAY_S, confidence=0.8, object=number(2)),
        checked(lifecycle=Lifecycle.APPROVED, confidence=0.2, epoch=b"e" * 32, object=number(3)),
        checked(object=number(4), confidence=0.1),
    )
    (rejected,) = put(engine, checked(lifecycle=Lifecycle.REJECTED, object=number(5), confidence=0.05))
    put(engine, checked(SIGNERS[2], object=number(4), confidence=0.1))
    everyone = {fda, old, approved, endorsed}
    assert set(hashes(page(engine))) == everyone
    assert set(hashes(page(engine, lifecycle="any"))) == everyone | {rejected}
    assert hashes(page(engine, lifecycle="rejected")) == [rejected]
    assert hashes(page(engine, lifecycle="approved")) == [approved]
    assert hashes(page(engine, source_class=["Regulatory"])) == [fda]
    assert set(hashes(page(engine, source_class=["Regulatory", "Community"]))) == everyone
    assert hashes(page(engine, epoch=(b"e" * 32).hex())) == [approved]
    assert hashes(page(engine, agent_id=SIGNERS[1].agent_id.hex())) == [fda]
    assert hashes(page(engine, agent_id=SIGNERS[2].agent_id.hex())) == [endorsed]
    assert hashes(page(engine, min_confidence="0.5")) == [fda]
    assert set(hashes(page(engine, min_confidence="0.5", decay="false"))) == {fda, old}
    assert hashes(page(engine, predicate="other")) == []


def test_decay_counts_from_the_clock(engine: Engine) -> None:
    put(engine, checked(confidence=0.8, timestamp=NOW_S - 90 * DAY_S))
    assert page(engine).assertions[0].effective_confidence == pytest.approx(0.4)
    assert page(engine, decay="false").assertions[0].effective_confidence == 0.8
    at_birth = page(engine, as_of=str(NOW_S - 90 * DAY_S))
    assert at_birth.assertions[0].effective_confidence == 0.8


def test_as_of_is_the_world_as_claimed_then(engine: Engine) -> None:
    early, late = put(engine, checked(timestamp=NOW_S - 100), checked(timestamp=NOW_S - 10, object=number(2)))
    put(engine, checked(SIGNERS[1], at=NOW_S - 5, timestamp=NOW_S - 100))
    assert hashes(page(engine, as_of=str(NOW_S - 50))) == [early]
    assert hashes(page(engine, as_of=str(NOW_S))) == [late, early]
    assert len(page(engine, as_of=str(NOW_S - 50)).assertions[0].signatures) == 1
    assert len(page(engine).assertions[1].signatures) == 2
    with pytest.raises(Invalid, match="in the future"):
        page(engine, as_of=str(NOW_S + 1))


def test_known_at_is_what_we_knew_then(engine: Engine) -> None:
    (first,) = put(engine, checked(timestamp=NOW_S - 10))
    (second,) = put(engine, checked(timestamp=NOW_S - 100, object=number(2)))
    put(engine, checked(SIGNERS[1], timestamp=NOW_S - 10))
    assert hashes(page(engine, known_at="2", as_of=str(NOW_S))) == [first]
    assert set(hashes(page(engine, known_at="3", as_of=str(NOW_S)))) == {first, second}
    assert len(page(engine, known_at="2").assertions[0].signatures) == 1
    assert len(page(engine, known_at="4").assertions[0].signatures) == 2
    assert hashes(page(engine, known_at="1")) == []
    for beyond in ("5", "2999-01-01T00:00:00Z"):
        with pytest.raises(Invalid) as refused:
            page(engine, known_at=beyond)
        assert refused.value.reason == "known_at_past_head"


def test_a_fixed_moment_answers_the_same_bytes_for_ever(engine: Engine) -> None:
    put(engine, *(checked(object=number(index % 5), timestamp=NOW_S - index) for index in range(20)))
    ask_for = {"known_at": str(engine.log.head().seq), "predicate": "has_revenue"}
    asked = [question(**ask_for), question(**ask_for, lens="consensus")]
    before = [msgspec.json.encode(ask(engine.view, each, NOW_S).reply) for each in asked]
    put(
        engine,
        *(
            checked(SIGNERS[index % 8], object=number(index % 7), timestamp=NOW_S - index)
            for index in range(40)
        ),
    )
    assert [msgspec.json.encode(ask(engine.view, each, NOW_S + 10**6).reply) for each in asked] == before


def test_lenses_resolve(engine: Engine) -> None:
    newest, confident, regulator, agreed = put(
        engine,
        checked(object=number(1), confidence=0.3),
        checked(object=number(2), confidence=1.0, timestamp=NOW_S - 60),
        checked(object=number(3), confidence=0.5, timestamp=NOW_S - 120, source_class=Tier.REGULATORY),
        checked(SIGNERS[0], SIGNERS[1], object=number(4), confidence=0.4, timestamp=NOW_S - 30),
    )
    for lens, winner in {
        "recency": newest,
        "confidence": confident,
        "authority": regulator,
        "consensus": agreed,
    }.items():
        reply = resolve(engine, lens)
        assert reply.winner is not None
        assert (reply.lens, reply.winner.hash, reply.candidates_count) == (lens, winner, 4)
    assert resolve(engine, "recency", source_class="Clinical").winner is None


def test_skeptic_shows_every_side(engine: Engine) -> None:
    put(
        engine,
        *(checked(SIGNERS[i], object=text("born in Minneapolis"), timestamp=NOW_S - i) for i in range(3)),
    )
    put(engine, checked(SIGNERS[4], object=text("born in Duluth")))
    reply = ask_skeptic(engine.view, question(predicate="has_revenue"), NOW_S).reply
    assert [(side.value.value, side.claims_count, side.agents_count) for side in reply.claims] == [
        ("born in Minneapolis", 3, 3),
        ("born in Duluth", 1, 1),
    ]
    assert reply.status == "Contested"
    assert sum(side.share for side in reply.claims) == pytest.approx(1)
    with pytest.raises(Invalid, match="one predicate"):
        ask_skeptic(engine.view, question(predicate="*"), NOW_S)


def test_show_claim(engine: Engine) -> None:
    (claim_id,) = put(engine, checked(vector=b"\0\0\x80\x3f", visual_hash=bytes(range(8))))
    reply = show_claim(engine.view, bytes.fromhex(claim_id), NOW_S).reply
    assert (reply.hash, reply.seq, reply.vector, reply.visual_hash) == (
        claim_id,
        2,
        [1.0],
        "0001020304050607",
    )
    with pytest.raises(NotFound):
        show_claim(engine.view, bytes(32), NOW_S)


def test_cursors_of_other_questions_and_altered_ones_are_refused(engine: Engine) -> None:
    put(engine, *(checked(object=number(index)) for index in range(5)))
    cursor = page(engine, limit="2").next_cursor
    assert cursor is not None
    assert len(page(engine, limit="3", cursor=cursor).assertions) == 3
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for place in range(len(raw)):
        altered = bytes(raw[:place]) + bytes([raw[place] ^ 4]) + bytes(raw[place + 1 :])
        with pytest.raises(Invalid) as refused:
            page(engine, cursor=base64.urlsafe_b64encode(altered).decode().rstrip("="))
        assert refused.value.reason == "bad_cursor"
    for bad in ("", "x", "é", "=" * 10, "A" * 5000, cursor[:-1]):
        with pytest.raises(Invalid):
            page(engine, cursor=bad)
    for other in (
        {"predicate": "has_revenue"},
        {"decay": "false"},
        {"subject": "other"},
        {"lifecycle": "any"},
    ):
        with pytest.raises(Invalid, match="another question"):
            page(engine, cursor=cursor, **other)  # type: ignore[arg-type]


def test_questions_are_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    put(engine, *(checked(object=number(index)) for index in range(6)))
    monkeypatch.setattr("stemedb.limits.CANDIDATES_MAX", 5)
    with pytest.raises(Unprocessable) as refused:
        resolve(engine, "recency")
    assert refused.value.reason == "too_many_candidates"
    assert resolve(engine, "recency", known_at="6").candidates_count == 5
    assert len(page(engine).assertions) == 6
    monkeypatch.setattr("stemedb.query.candidates._LOOK_AT_CLOCK_EVERY", 1)
    monkeypatch.setattr("stemedb.query.candidates.Deadline.__init__.__defaults__", (-1.0,))
    with pytest.raises(QueryTimeout):
        page(engine)
