"""Token buckets against a clock of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemedb.errors import QuotaExceeded
from stemedb.guard.buckets import Buckets, Rate

RATE = Rate(capacity=10, refill_per_s=2)


class Clock:
    """A clock that goes only when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_empties_and_refills() -> None:
    clock = Clock()
    buckets = Buckets(10, clock)
    balance = buckets.take(b"a", RATE, 10)
    assert balance is not None
    assert (balance.remaining, balance.capacity, balance.full_in_s) == (0, 10, 5)
    assert buckets.take(b"a", RATE, 1) is None
    assert buckets.take(b"b", RATE, 1) is not None
    clock.now_s = 1
    assert buckets.look(b"a", RATE).remaining == 2
    assert buckets.take(b"a", RATE, 2) is not None
    clock.now_s = 1000
    assert buckets.look(b"a", RATE).remaining == 10


def test_the_wait_is_exact() -> None:
    clock = Clock()
    buckets = Buckets(10, clock)
    buckets.take(b"a", RATE, 10)
    with pytest.raises(QuotaExceeded) as refused:
        buckets.require(b"a", RATE, 5, "no", "rate_limited")
    assert refused.value.retry_after_s == 3
    clock.now_s = 2.49
    assert buckets.take(b"a", RATE, 5) is None
    clock.now_s = 3
    buckets.require(b"a", RATE, 5, "no", "rate_limited")


def test_what_can_never_be_paid_is_refused_all_the_same() -> None:
    with pytest.raises(QuotaExceeded) as refused:
        Buckets(10, Clock()).require(b"a", RATE, 11, "no", "rate_limited")
    assert refused.value.retry_after_s == 1


def test_tokens_given_back_never_overfill() -> None:
    buckets = Buckets(10, Clock())
    buckets.take(b"a", RATE, 3)
    buckets.give_back(b"a", RATE, 30)
    assert buckets.look(b"a", RATE).remaining == 10


def test_the_number_of_names_is_bounded() -> None:
    buckets = Buckets(2, Clock())
    for name in (b"a", b"b", b"a", b"c"):
        buckets.take(name, RATE, 4)
    assert {name for name, _ in buckets.saved()} == {b"a", b"c"}


def test_levels_survive_a_restart() -> None:
    clock = Clock()
    before = Buckets(10, clock)
    before.take(b"a", RATE, 7)
    after = Buckets(10, clock)
    after.restore(before.saved())
    assert after.look(b"a", RATE).remaining == 3


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 20))))
def test_nobody_gets_more_than_capacity_and_refill(steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    buckets = Buckets(10, clock)
    taken = 0.0
    for pause_s, cost in steps:
        clock.now_s += pause_s
        if buckets.take(b"a", RATE, cost) is not None:
            taken += cost
    assert taken <= RATE.capacity + clock.now_s * RATE.refill_per_s + 1e-6
