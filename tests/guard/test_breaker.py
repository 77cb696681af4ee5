"""Breakers against a clock of their own."""

from __future__ import annotations

import os

import pytest

from stemedb import limits
from stemedb.errors import QuotaExceeded
from stemedb.guard.breaker import Breakers, BreakerState
from tests.guard.test_buckets import Clock

AGENT, OTHER = b"a" * 32, b"b" * 32


def opened() -> tuple[Breakers, Clock]:
    clock = Clock()
    breakers = Breakers(clock)
    for _ in range(5):
        breakers.require_closed(AGENT)
        breakers.note_refusal(AGENT, os.urandom(32))
    return breakers, clock


def test_five_refusals_in_a_minute_open_it() -> None:
    breakers, _ = opened()
    with pytest.raises(QuotaExceeded) as refused:
        breakers.require_closed(AGENT)
    assert refused.value.retry_after_s == 30
    breakers.require_closed(OTHER)
    assert breakers.open_count == 1


def test_refusals_far_apart_do_not() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    for _ in range(20):
        breakers.note_refusal(AGENT, os.urandom(32))
        clock.now_s += 15
    breakers.require_closed(AGENT)


def test_after_the_pause_one_try_goes_through() -> None:
    breakers, clock = opened()
    clock.now_s = 30
    assert breakers.states() == [(AGENT, BreakerState.HALF_OPEN)]
    breakers.require_closed(AGENT)
    with pytest.raises(QuotaExceeded):
        breakers.require_closed(AGENT)
    breakers.note_success(AGENT)
    breakers.require_closed(AGENT)
    assert breakers.states() == []


def test_a_try_that_fails_opens_it_again() -> None:
    breakers, clock = opened()
    clock.now_s = 31
    breakers.require_closed(AGENT)
    breakers.note_refusal(AGENT, os.urandom(32))
    with pytest.raises(QuotaExceeded) as refused:
        breakers.require_closed(AGENT)
    assert refused.value.retry_after_s == 30


def test_by_hand() -> None:
    breakers, _ = opened()
    breakers.reset(AGENT)
    breakers.require_closed(AGENT)
    breakers.open(OTHER)
    with pytest.raises(QuotaExceeded):
        breakers.require_closed(OTHER)


def test_the_number_of_agents_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemedb.limits.BREAKERS_MAX", 3)
    breakers = Breakers(Clock())
    for index in range(10):
        breakers.note_refusal(bytes([index]) * 32, bytes(32))
    assert len(breakers.states()) == 3


def test_tells_how_long_an_agent_has_not_been_let_in() -> None:
    breakers, clock = opened()
    clock.now_s += limits.BREAKER_PAUSE_S
    assert breakers.open_longest_s == 0.0  # half open: nobody is shut out
    breakers.require_closed(AGENT)
    breakers.note_refusal(AGENT, os.urandom(32))
    clock.now_s += 1
    breakers.open(OTHER)
    assert breakers.open_longest_s == limits.BREAKER_PAUSE_S + 1
    breakers.reset(AGENT)
    clock.now_s += 2
    assert breakers.open_longest_s == 2.0
