"""Single claims verified together on their way to the writer: each caller hears of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stemedb import limits
from stemedb.engine import CREATED, Checked, Engine, open_engine
from stemedb.engine.pending import Pending
from stemedb.errors import Forbidden, StemedbError, Unavailable, Unprocessable
from stemedb.model import SignedAssertion
from tests.builders import number, signed
from tests.engine.test_engine import settings_in

CLAIMS = 400
FORGED = 7  # every seventh


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(settings_in(tmp_path))
    yield opened
    opened.close()


def same(checked: Checked) -> Checked:
    return checked


def begin(engine: Engine, claim: SignedAssertion) -> Pending:
    return engine.begin_claim(engine.take(claim, None), same)


def test_each_caller_hears_of_its_own_claim(engine: Engine) -> None:
    genuine = [signed(object=number(each)) for each in range(CLAIMS)]
    given = [
        SignedAssertion(claim.assertion, genuine[each - 1].signatures) if each % FORGED == 0 else claim
        for each, claim in enumerate(genuine)
    ]

    def say(each: int) -> str:
        try:
            return begin(engine, given[each]).outcome().status
        except Unprocessable as error:
            return error.reason

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(say, range(CLAIMS)))
    assert found == ["bad_signature" if each % FORGED == 0 else CREATED for each in range(CLAIMS)]
    assert engine.view.claims_count == found.count(CREATED)


def test_nobody_is_admitted_before_the_signature_is_verified(engine: Engine) -> None:
    admitted: list[Checked] = []

    def admit(checked: Checked) -> Checked:
        admitted.append(checked)
        return checked

    forged = SignedAssertion(signed().assertion, signed(object=number(1)).signatures)
    with pytest.raises(Unprocessable):
        engine.begin_claim(engine.take(forged, None), admit).outcome()
    assert admitted == []
    assert engine.begin_claim(engine.take(signed(), None), admit).outcome().status == CREATED
    assert [each.assertion for each in admitted] == [signed().assertion]


@pytest.mark.parametrize("error", [Forbidden("not you"), ZeroDivisionError("a mistake of ours")])
def test_who_is_not_admitted_hears_why_and_the_others_go_on(engine: Engine, error: Exception) -> None:
    def refuse(_checked: Checked) -> Checked:
        raise error

    refused = engine.begin_claim(engine.take(signed(), None), refuse)
    following = begin(engine, signed(object=number(2)))
    with pytest.raises(type(error), match=str(error)):
        refused.outcome()
    assert following.outcome().status == CREATED
    assert engine.view.claims_count == 1


def test_what_waits_is_written_before_the_end_and_nothing_is_taken_after(tmp_path: Path) -> None:
    engine = open_engine(settings_in(tmp_path))
    waiting = [begin(engine, signed(object=number(each))) for each in range(50)]
    engine.close()
    assert {each.outcome().status for each in waiting} == {CREATED}
    with pytest.raises(Unavailable) as caught:
        begin(engine, signed())
    assert caught.value.reason == "draining"


def test_too_many_are_refused_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VERIFYING_CLAIMS_MAX", 1)
    entered, going_on = threading.Event(), threading.Event()

    def stand(checked: Checked) -> Checked:
        entered.set()
        assert going_on.wait(20)
        return checked

    with ThreadPoolExecutor(1) as pool:  # a claim that comes alone is admitted by whoever brings it
        standing = pool.submit(engine.begin_claim, engine.take(signed(), None), stand)
        assert entered.wait(20)
        waiting = begin(engine, signed(object=number(2)))
        with pytest.raises(Unavailable) as caught:
            begin(engine, signed(object=number(3)))
        going_on.set()
    assert (caught.value.reason, caught.value.status) == ("queue_full", 503)
    assert {each.outcome().status for each in (standing.result(), waiting)} == {CREATED}


def test_a_writer_without_room_refuses_those_it_cannot_take(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUEUE_CHANGES_MAX", 0)
    with pytest.raises(StemedbError) as caught:
        begin(engine, signed()).outcome()
    assert caught.value.reason == "queue_full"
    monkeypatch.undo()
    assert begin(engine, signed()).outcome().status == CREATED
