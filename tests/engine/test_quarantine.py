"""The quarantine in the engine: held, released, rejected, erased, rebuilt; decided in the log's order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stemedb.engine import (
    CREATED,
    ENDORSED,
    EXISTS,
    QUARANTINED,
    Approval,
    Change,
    Checked,
    Engine,
    EngineSettings,
    Outcome,
    Rejection,
    open_engine,
    read_feed,
)
from stemedb.engine.erasing import Erasure
from stemedb.errors import Conflict, Gone, NotFound, StemedbError, Unavailable, Unprocessable
from stemedb.guard.content import ContentDefence
from stemedb.model import Signer
from stemedb.model.quarantine import Doubt
from stemedb.query import Listing, ask, list_quarantine, parse_question, show_claim
from tests.builders import NOW_S, SIGNERS, checked, number, text
from tests.guard.test_content import changed, prose
from tests.query.asking import gold, page, vote

JUNK = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"


def settings_in(folder: Path) -> EngineSettings:
    return EngineSettings(folder / "wal", folder / "db", folder / "keys", 64 * 1024, disk_floor_mb=1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(settings_in(tmp_path))
    yield opened
    opened.close()


def looked_at(engine: Engine, *signers: Signer, **fields: Any) -> Checked:  # noqa: ANN401
    """Return a claim with its judge, as the service makes it."""
    claim = checked(*signers, **{"confidence": 0.5} | fields)
    agents = frozenset(each.agent_id for each in claim.signatures)
    defence = ContentDefence(engine.secret_for("content defence"))
    return claim._replace(judge=defence.judge(claim.assertion, agents).verdict)


def junk(engine: Engine, *signers: Signer, **fields: Any) -> Checked:  # noqa: ANN401
    return looked_at(engine, *signers, **{"object": text(JUNK)} | fields)


def put(engine: Engine, change: Change) -> Outcome:
    return engine.submit_one(change)


def waiting(engine: Engine, state: str = "waiting") -> list[str]:
    return [each.hash for each in list_quarantine(engine.view, state, Listing()).quarantine]


def rebuilt_digest(folder: Path) -> str:
    for path in (folder / "db").glob("*.mdb"):
        path.unlink()
    with closing(open_engine(settings_in(folder))) as engine:
        return engine.view.digest()


def test_a_doubtful_claim_is_logged_and_not_shown(engine: Engine) -> None:
    claim = junk(engine)
    outcome = put(engine, claim)
    assert outcome == Outcome(claim.id, 2, QUARANTINED, 2, (Doubt.LOW_QUALITY,))
    assert outcome.is_new
    assert (engine.view.claims_count, engine.view.waiting_count()) == (0, 1)
    with pytest.raises(NotFound):
        show_claim(engine.view, claim.id, NOW_S)
    with pytest.raises(NotFound):
        put(engine, vote(claim.id.hex(), 1.0))
    (held,) = list_quarantine(engine.view, "waiting", Listing()).quarantine
    assert (held.hash, held.seq, held.reasons) == (claim.id.hex(), 2, ["low_quality"])
    assert held.assertion["subject"] == "Tesla_Inc"
    again = put(engine, claim)
    assert (again.status, again.seq, again.is_new) == (QUARANTINED, 2, False)
    assert engine.log.head().seq == 2


def test_a_released_claim_is_one_like_any_other_from_then_on(engine: Engine) -> None:
    claim = junk(engine, SIGNERS[0], SIGNERS[1])
    put(engine, claim)
    before = engine.log.head().seq
    assert put(engine, Approval(claim.id, b"12345678")) == Outcome(claim.id, 3, CREATED, 3)
    shown = show_claim(engine.view, claim.id, NOW_S).reply
    assert (shown.seq, shown.hash, len(shown.signatures)) == (3, claim.id.hex(), 2)
    assert page(engine, known_at=str(before)).assertions == []
    assert len(page(engine, as_of=str(NOW_S)).assertions) == 1
    assert put(engine, Approval(claim.id)).status == EXISTS
    assert put(engine, claim).status == EXISTS
    assert put(engine, junk(engine, SIGNERS[2])).status == ENDORSED
    put(engine, vote(claim.id.hex(), 1.0))
    assert (engine.view.claims_count, engine.view.waiting_count()) == (1, 0)
    with pytest.raises(Conflict) as refused:
        put(engine, Rejection(claim.id))
    assert refused.value.reason == "already_released"


def test_feed_and_changes_show_the_release_and_nothing_before(engine: Engine) -> None:
    claim = junk(engine)
    put(engine, claim)
    put(engine, Rejection(claim.id))
    put(engine, Approval(claim.id))
    records = read_feed(engine.log, 1, 10).records
    assert [(each.seq, each.type) for each in records] == [(2, "hidden"), (3, "hidden"), (4, "release")]
    assert records[0].body is None
    body = records[2].body
    assert body is not None
    assert (body["hash"], body["object"].value) == (claim.id.hex(), JUNK)  # type: ignore[attr-defined]
    assert not {"by", "sketch"} & set(body)
    question = parse_question({"subject": ["Tesla_Inc"], "predicate": ["has_revenue"], "since": ["1"]})
    assert ask(engine.view, question, NOW_S).reply.changes == [records[2]]  # type: ignore[union-attr]


def test_a_rejected_claim_stays_out_until_it_is_approved(engine: Engine) -> None:
    claim = junk(engine)
    put(engine, claim)
    assert put(engine, Rejection(claim.id)).status == CREATED
    assert put(engine, Rejection(claim.id)).status == EXISTS
    assert (waiting(engine), waiting(engine, "rejected")) == ([], [claim.id.hex()])
    assert engine.view.waiting_count() == 0
    for again in (claim, claim._replace(judge=None), junk(engine, SIGNERS[3])):
        with pytest.raises(Conflict) as refused:
            put(engine, again)
        assert refused.value.reason == "claim_rejected"
    assert put(engine, Approval(claim.id)).status == CREATED


def test_what_is_not_there_cannot_be_decided(engine: Engine) -> None:
    plain = checked()
    put(engine, plain)
    for change in (Approval(plain.id), Rejection(plain.id), Approval(bytes(32)), Rejection(bytes(32))):
        with pytest.raises(NotFound):
            put(engine, change)


def test_nobody_can_hold_a_claim_of_others_back(engine: Engine) -> None:
    """A low-trusted agent sends what another is about to say, with and without the other's signature."""
    settled = checked(subject="settled", object=number(1))
    for index in range(3):
        put(engine, checked(SIGNERS[0], subject=f"s{index}", object=number(1)))
        put(engine, gold(number(2), f"s{index}"))
    fields: dict[str, Any] = {"confidence": 0.95, "object": text("a good claim about something")}
    held = put(engine, looked_at(engine, SIGNERS[0], SIGNERS[1], **fields))
    assert (held.status, held.doubts) == (QUARANTINED, (Doubt.UNEARNED_CONFIDENCE,))
    own = put(engine, looked_at(engine, SIGNERS[1], **fields))
    assert own.status == CREATED
    shown = show_claim(engine.view, own.id, NOW_S).reply
    assert [each.agent_id for each in shown.signatures] == [SIGNERS[1].agent_id.hex()]
    assert waiting(engine) == []
    assert settled.id != own.id


def test_near_duplicates_in_one_batch_are_decided_in_order(engine: Engine) -> None:
    original = prose(1, 200)
    claims = [looked_at(engine, subject=f"s{at}", object=text(changed(original, at))) for at in range(1, 4)]
    results = engine.submit([*claims, claims[2], looked_at(engine, SIGNERS[1], object=text(original))])
    assert [each.status for each in results if isinstance(each, Outcome)] == [
        CREATED, QUARANTINED, QUARANTINED, QUARANTINED, CREATED,
    ]  # fmt: skip
    assert [each.is_new for each in results if isinstance(each, Outcome)] == [True, True, True, False, True]
    (first, *_) = list_quarantine(engine.view, "waiting", Listing()).quarantine
    assert first.scores.similar_to == claims[0].id.hex()


def test_texts_are_remembered_over_a_restart_and_over_a_rebuild(engine: Engine, tmp_path: Path) -> None:
    original = prose(2, 200)
    put(engine, looked_at(engine, object=text(original)))
    engine.close()
    for rebuild in (False, True):
        if rebuild:
            rebuilt_digest(tmp_path)
        with closing(open_engine(settings_in(tmp_path))) as opened:
            near = looked_at(opened, subject=f"again {rebuild}", object=text(changed(original, 2)))
            assert put(opened, near).doubts == (Doubt.NEAR_DUPLICATE,)


def test_further_signatures_are_kept_and_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.limits.SIGNATURES_MAX", 3)
    first = put(engine, junk(engine, SIGNERS[0]))
    second = put(engine, junk(engine, SIGNERS[1], SIGNERS[0]))
    assert (second.status, second.seq, second.position) == (QUARANTINED, first.seq, first.position + 1)
    put(engine, junk(engine, SIGNERS[2]))
    with pytest.raises(Unprocessable) as refused:
        put(engine, junk(engine, SIGNERS[3]))
    assert refused.value.reason == "quarantine_full"
    (held,) = list_quarantine(engine.view, "waiting", Listing()).quarantine
    assert [each.agent_id for each in held.signatures] == [each.agent_id.hex() for each in SIGNERS[:3]]


def test_the_quarantine_has_room_for_so_many(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.limits.QUARANTINE_AGENT_MAX", 2)
    monkeypatch.setattr("stemedb.limits.QUARANTINE_MAX", 3)
    crowd = [junk(engine, subject=f"s{at}") for at in range(3)]
    *held, refused = engine.submit(crowd)
    assert {each.status for each in held if isinstance(each, Outcome)} == {QUARANTINED}
    assert isinstance(refused, Unprocessable)
    others = engine.submit([junk(engine, SIGNERS[1], subject=f"t{at}") for at in range(2)])
    assert isinstance(others[1], Unavailable)
    put(engine, Rejection(crowd[0].id))
    assert put(engine, crowd[2]).status == QUARANTINED


def test_standing_gold_standards_judge_a_claim_when_it_is_released(engine: Engine) -> None:
    claim = junk(engine)
    put(engine, claim)
    put(engine, gold(number(1)))
    with engine.view.snapshot() as snapshot:
        assert snapshot.trust(SIGNERS[0].agent_id, 99) is None
    put(engine, Approval(claim.id))
    with engine.view.snapshot() as snapshot:
        row = snapshot.trust(SIGNERS[0].agent_id, 99)
    assert row is not None
    assert row.inaccurate == 1


@pytest.mark.parametrize("how", ["waiting", "rejected", "released", "sent again"])
def test_an_erasure_reaches_every_record_that_held_it(engine: Engine, tmp_path: Path, how: str) -> None:
    secret = "aaaa the patient's name aaaa" * 40
    fields: dict[str, Any] = {"object": text(secret), "confidence": 0.95}
    for index in range(8):  # trust low enough for the claim to be doubted, whatever it says
        put(engine, checked(subject=f"s{index}", object=number(1)))
        put(engine, gold(number(2), f"s{index}"))
    claim = looked_at(engine, SIGNERS[0], **fields)
    assert put(engine, claim).status == QUARANTINED
    put(engine, looked_at(engine, SIGNERS[1], SIGNERS[0], **fields))
    if how == "rejected":
        put(engine, Rejection(claim.id))
    if how == "released":
        put(engine, Approval(claim.id))
    if how == "sent again":
        assert put(engine, looked_at(engine, SIGNERS[2], **fields)).status == CREATED
    engine.erase(Erasure((claim.id,), "a wish", "admin"), now=True)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if b"patient" in path.read_bytes()] == []
    assert engine.view.waiting_count() == 0
    for change in (claim, Approval(claim.id), Rejection(claim.id)):
        with pytest.raises(Gone):
            put(engine, change)
    digest = engine.view.digest()
    engine.close()
    assert rebuilt_digest(tmp_path) == digest


def test_a_rebuild_gives_the_same(engine: Engine, tmp_path: Path) -> None:
    claims = [junk(engine, subject=f"s{at}") for at in range(6)]
    engine.submit([*claims, looked_at(engine, object=text(prose(3)))])
    put(engine, Approval(claims[0].id))
    put(engine, Rejection(claims[1].id))
    put(engine, junk(engine, SIGNERS[1], subject="s2"))
    put(engine, claims[3]._replace(judge=None))  # the defence was switched off meanwhile
    digest, shown = engine.view.digest(), waiting(engine)
    assert len(shown) == 3
    engine.close()
    assert rebuilt_digest(tmp_path) == digest


def test_refusals_leave_no_record(engine: Engine) -> None:
    head = engine.log.head().seq
    for change in (Approval(bytes(32)), Rejection(bytes(32))):
        (result,) = engine.submit([change])
        assert isinstance(result, StemedbError)
    assert engine.log.head().seq == head
