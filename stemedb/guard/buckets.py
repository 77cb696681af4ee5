"""Token buckets: one for each name, bounded in number, refilled by the clock."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from math import ceil
from typing import NamedTuple

from stemedb.errors import QuotaExceeded


class Rate(NamedTuple):
    """How much a bucket holds, and how fast it refills."""

    capacity: float
    refill_per_s: float


class Balance(NamedTuple):
    """What is left in a bucket: tokens, of how many, and the seconds until it is full again."""

    remaining: float
    capacity: float
    full_in_s: float

    def wait_s(self, cost: float, rate: Rate) -> int:
        """Return the whole seconds until `cost` can be paid, or until the bucket is full if it never can."""
        missing = min(cost, rate.capacity) - self.remaining
        return max(1, ceil(missing / rate.refill_per_s)) if missing > 0 else 0


class Buckets:
    """The buckets of many names. Safe to use from many threads.

    At most `names_max` are remembered; the one not used for longest is forgotten first. A forgotten
    bucket comes back full, so there must be room for more names than can be made to matter at once.
    """

    def __init__(self, names_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with every bucket full; `clock` gives seconds."""
        self._names_max = names_max
        self._clock = clock
        self._lock = threading.Lock()
        self.changes = 0
        self._levels: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def look(self, name: bytes, rate: Rate) -> Balance:
        """Return what is left, taking nothing."""
        with self._lock:
            return self._balance(self._level(name, rate, self._clock()), rate)

    def take(self, name: bytes, rate: Rate, cost: float) -> Balance | None:
        """Take `cost` tokens and return what is left; None, and nothing taken, where there are not enough."""
        with self._lock:
            now = self._clock()
            level = self._level(name, rate, now)
            if level < cost:
                return None
            self._put(name, level - cost, now)
            return self._balance(level - cost, rate)

    def give_back(self, name: bytes, rate: Rate, cost: float) -> None:
        """Return `cost` tokens that were taken for something that did not happen."""
        with self._lock:
            now = self._clock()
            self._put(name, min(rate.capacity, self._level(name, rate, now) + cost), now)

    def require(self, name: bytes, rate: Rate, cost: float, detail: str, code: str) -> Balance:
        """Take `cost` tokens; raises `QuotaExceeded` with the seconds to wait where there are not enough."""
        balance = self.take(name, rate, cost)
        if balance is None:
            wait_s = self.look(name, rate).wait_s(cost, rate)
            raise QuotaExceeded(detail, code=code, retry_after_s=max(1, wait_s))
        return balance

    def saved(self) -> list[tuple[bytes, float]]:
        """Return the names with the levels they have now, to be kept over a restart."""
        with self._lock:
            return [(name, level) for name, (level, _) in self._levels.items()]

    def restore(self, levels: Iterable[tuple[bytes, float]], age_s: float = 0.0) -> None:
        """Take back what `saved` returned `age_s` seconds ago; each is refilled for that time."""
        with self._lock:
            then = self._clock() - age_s
            for name, level in levels:
                self._put(name, level, then)

    def _level(self, name: bytes, rate: Rate, now: float) -> float:
        known = self._levels.get(name)
        if known is None:
            return rate.capacity
        level, at = known
        return min(rate.capacity, level + (now - at) * rate.refill_per_s)

    def _put(self, name: bytes, level: float, now: float) -> None:
        self.changes += 1
        self._levels[name] = (level, now)
        self._levels.move_to_end(name)
        if len(self._levels) > self._names_max:
            self._levels.popitem(last=False)

    def _balance(self, level: float, rate: Rate) -> Balance:
        return Balance(level, rate.capacity, (rate.capacity - level) / rate.refill_per_s)
