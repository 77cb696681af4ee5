"""All connections by where they come from: what is held for each, and who goes first when room runs out.

Up to a half of each limit anybody may hold. Beyond it, whoever holds most gives way, so that one client
cannot take what all others need; beyond the whole, whoever comes is refused.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING, Final

from stemedb import limits
from stemedb.guard import Origin

if TYPE_CHECKING:
    from stemedb.api.connection import Connection

_RELIEF: Final = 7 / 8  # of the half: making room reaches a little further, so that it is not done each time


class Household:
    """The connections from one place (an address, of IPv6 the network that one customer has)."""

    def __init__(self) -> None:
        """Start empty."""
        self.connections: set[Connection] = set()
        self.held_bytes = 0


class Crowd:
    """The connections of one server. `hold` is safe to use from many threads, the rest is intake's."""

    def __init__(self) -> None:
        """Start empty."""
        self._households: dict[bytes, Household] = {}
        self._lock = threading.Lock()
        self._held_bytes = 0
        self._chance = Random()  # noqa: S311 - it picks whom to look at, no keys

    def add(self, connection: Connection) -> None:
        """Count a connection in."""
        with self._lock:
            self._households.setdefault(connection.place, Household()).connections.add(connection)

    def remove(self, connection: Connection) -> None:
        """Count a connection out, with all that was held for it."""
        with self._lock:
            household = self._households.get(connection.place)
            if household is None or connection not in household.connections:
                return
            self._hold(household, connection, 0)
            household.connections.remove(connection)
            if not household.connections:
                del self._households[connection.place]

    def hold(self, connection: Connection, size_bytes: int) -> None:
        """Note how many bytes of requests are held for `connection` now."""
        with self._lock:
            household = self._households.get(connection.place)
            if household is not None:
                self._hold(household, connection, size_bytes)

    def _hold(self, household: Household, connection: Connection, size_bytes: int) -> None:
        added = size_bytes - connection.held_bytes
        connection.held_bytes = size_bytes
        household.held_bytes += added
        self._held_bytes += added

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be held for anybody."""
        return self._held_bytes > limits.COLLECTED_BYTES_MAX

    def too_large(self) -> Iterator[Connection]:
        """Yield whose unfinished requests must go, the largest first, until there is room."""
        half = limits.COLLECTED_BYTES_MAX // 2
        if self._held_bytes <= half:
            return
        greedy = self._greatest(lambda household: household.held_bytes)
        for connection in sorted(greedy, key=lambda each: -each.held_bytes):
            if not connection.held_bytes or self._held_bytes <= half * _RELIEF:
                return
            yield connection

    def too_many(self) -> list[Connection]:
        """Return who must go when no connection more can be: of the largest household, who waits longest.

        Of a great household only a part by chance is looked at: all of it would hold up everybody each time.
        """
        before = time.monotonic() - limits.CROWDED_WAIT_S_MIN
        with self._lock:
            greatest = max(self._households.values(), key=lambda each: len(each.connections), default=None)
            everybody = list(greatest.connections) if greatest else []
        if len(everybody) > limits.CROWDED_LOOKED_MAX:
            everybody = self._chance.sample(everybody, limits.CROWDED_LOOKED_MAX)
        waiting = (each for each in everybody if each.is_collecting and each.since < before)
        return heapq.nsmallest(limits.CROWDED_DROPS_MAX, waiting, key=attrgetter("since"))

    def _greatest(self, size: Callable[[Household], int]) -> list[Connection]:
        """Return the connections of the greatest household that no worker has in hand."""
        with self._lock:
            greatest = max(self._households.values(), key=size, default=None)
            return [each for each in greatest.connections if each.is_collecting] if greatest else []


def place_of(address: str) -> bytes:
    """Return the name of the household that an address belongs to."""
    return Origin(address, forwarded=False, by_trusted=False).name
