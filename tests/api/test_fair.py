"""Whose request is next, and that one place cannot take all room."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from stemedb import limits
from stemedb.api.crowd import place_of
from stemedb.api.fair import FairQueue

if TYPE_CHECKING:
    from stemedb.api.connection import Connection


class Waiting:
    """What the queue knows of a connection: a real one would need a server and a socket."""

    def __init__(self, place: bytes, number: int) -> None:
        self.place = place
        self.number = number


def put(waiting: FairQueue, place: bytes, number: int) -> None:
    waiting.put(cast("Connection", Waiting(place, number)))


def test_places_take_turns_and_each_keeps_its_order() -> None:
    waiting = FairQueue()
    for number in range(4):
        put(waiting, b"flood", number)
    put(waiting, b"one", 0)
    put(waiting, b"two", 0)
    put(waiting, b"one", 1)
    waiting.put(None)
    order = []
    while (found := cast("Waiting | None", waiting.get())) is not None:
        order.append((found.place, found.number))
    assert order == [
        (b"flood", 0),
        (b"one", 0),
        (b"two", 0),
        (b"flood", 1),
        (b"one", 1),
        (b"flood", 2),
        (b"flood", 3),
    ]


def test_half_of_the_room_is_everybodys() -> None:
    waiting = FairQueue()
    for number in range(limits.READY_REQUESTS_MAX // 2):
        assert not waiting.is_full_for(b"flood")
        put(waiting, b"flood", number)
    assert waiting.is_full_for(b"flood")
    assert not waiting.is_full_for(b"other")
    for number in range(limits.READY_REQUESTS_MAX // 2):
        put(waiting, b"%d" % number, number)
    assert waiting.is_full_for(b"other")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_a_place_is_an_address_or_the_network_of_one_customer(one: str, other: str, *, same: bool) -> None:
    assert (place_of(one) == place_of(other)) == same


def test_what_is_half_answered_goes_before_all_others() -> None:
    waiting = FairQueue()
    put(waiting, b"one", 0)
    put(waiting, b"two", 0)
    waiting.put_first(cast("Connection", Waiting(b"two", 7)))
    found = [cast("Waiting", waiting.get()) for _ in range(3)]
    assert [(each.place, each.number) for each in found] == [(b"two", 7), (b"one", 0), (b"two", 0)]
