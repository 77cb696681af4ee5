"""Breakers: an agent whose claims keep being refused is shut out for a while (api.md "Guards").

Closed, it lets everything through; some refusals in a short time open it; open, it refuses at once; after
a pause it lets one try through, whose success closes it and whose failure opens it again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import ceil

from stemedb import limits
from stemedb.errors import QuotaExceeded


class BreakerState(Enum):
    """What a breaker does with the next claim."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class _Breaker:
    refusals: deque[tuple[float, bytes]] = field(default_factory=deque)
    opened_at: float | None = None
    first_opened_at: float | None = None  # of the openings since it was closed last
    trying: bool = False

    def open(self, now: float) -> None:
        self.opened_at, self.trying = now, False
        self.first_opened_at = now if self.first_opened_at is None else self.first_opened_at


class Breakers:
    """One breaker an agent; closed ones without refusals take no room. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with all closed; `clock` gives seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._breakers: OrderedDict[bytes, _Breaker] = OrderedDict()

    def require_closed(self, agent_id: bytes) -> None:
        """Let a claim of this agent through, or raise `QuotaExceeded` with the seconds to wait."""
        with self._lock:
            breaker = self._breakers.get(agent_id)
            if breaker is None or breaker.opened_at is None:
                return
            wait_s = breaker.opened_at + limits.BREAKER_PAUSE_S - self._clock()
            if wait_s <= 0 and not breaker.trying:
                breaker.trying = True
                return
        raise QuotaExceeded(
            "too many of this agent's claims were refused; it is shut out for a while",
            code="breaker_open",
            hint="Look at why the claims were refused, then wait as long as Retry-After says.",
            retry_after_s=max(1, ceil(wait_s)),
        )

    def note_success(self, agent_id: bytes) -> None:
        """A claim was accepted: close the breaker if it was open; refusals lately still count."""
        with self._lock:
            breaker = self._breakers.get(agent_id)
            if breaker is not None and breaker.opened_at is not None:
                del self._breakers[agent_id]

    def release(self, agent_id: bytes) -> None:
        """What was let through came to nothing: the next claim may be the one try."""
        with self._lock:
            if breaker := self._breakers.get(agent_id):
                breaker.trying = False

    def note_refusal(self, agent_id: bytes, claim_id: bytes) -> bool:
        """A claim was refused: open the breaker if that was one too many; return whether that opened it.

        The same claim counts once: anybody may send again what an agent once signed.
        """
        with self._lock:
            now = self._clock()
            breaker = self._breakers.setdefault(agent_id, _Breaker())
            self._breakers.move_to_end(agent_id)
            while breaker.refusals and breaker.refusals[0][0] <= now - limits.BREAKER_WINDOW_S:
                breaker.refusals.popleft()
            if all(known != claim_id for _, known in breaker.refusals):
                breaker.refusals.append((now, claim_id))
            opens = False
            if breaker.trying or len(breaker.refusals) >= limits.BREAKER_REFUSALS_MAX:
                breaker.open(now)
                breaker.refusals.clear()
                opens = True
            if len(self._breakers) > limits.BREAKERS_MAX:
                self._breakers.popitem(last=False)
            return opens

    @property
    def any_known(self) -> bool:
        """Whether any agent has a refusal."""
        return bool(self._breakers)

    def open(self, agent_id: bytes) -> None:
        """Open a breaker by hand."""
        with self._lock:
            self._breakers.setdefault(agent_id, _Breaker()).open(self._clock())

    def reset(self, agent_id: bytes) -> None:
        """Close a breaker by hand."""
        with self._lock:
            self._breakers.pop(agent_id, None)

    def state(self, agent_id: bytes) -> BreakerState:
        """Return what an agent's breaker does now."""
        with self._lock:
            breaker = self._breakers.get(agent_id)
            return BreakerState.CLOSED if breaker is None else self._state(breaker)

    def states(self) -> list[tuple[bytes, BreakerState]]:
        """Return the breakers that are not at rest, by agent."""
        with self._lock:
            return sorted(
                ((agent_id, self._state(breaker)) for agent_id, breaker in self._breakers.items()),
                key=lambda each: each[0],
            )

    @property
    def open_count(self) -> int:
        """How many are open now."""
        return sum(state is BreakerState.OPEN for _, state in self.states())

    @property
    def open_longest_s(self) -> float:
        """For how long one of those that are open has not been closed, of all the longest; 0 for none."""
        with self._lock:
            now = self._clock()
            waits = (
                now - breaker.first_opened_at
                for breaker in self._breakers.values()
                if breaker.first_opened_at is not None and self._state(breaker) is BreakerState.OPEN
            )
            return max(waits, default=0.0)

    def _state(self, breaker: _Breaker) -> BreakerState:
        if breaker.opened_at is None:
            return BreakerState.CLOSED
        paused = self._clock() >= breaker.opened_at + limits.BREAKER_PAUSE_S
        return BreakerState.HALF_OPEN if paused else BreakerState.OPEN
