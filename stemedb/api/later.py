"""Answers that come later: no thread waits while a change is on its way to the disk.

A handler that set a change on its way returns what is left to do as `Later`. What the application makes of
that is a WSGI iterable like any other: a server that just goes through it waits there. Ours asks to be called
when it is ready, answers others meanwhile, and goes through it then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import bottle

    from stemedb.api.turns import Turns
    from stemedb.engine import Pending


class Later(NamedTuple):
    """What an answer waits for, and what makes it then."""

    pending: Pending
    answer: Callable[[], bottle.HTTPResponse]

    def wait(self, turns: Turns) -> None:
        """Wait until the answer can be made, and let others work meanwhile."""
        if not self.pending.is_told:
            with turns.waived:
                self.pending.wait_told()


class Laters:
    """How many replies of a server come later. Safe to use from many threads."""

    def __init__(self, most: int) -> None:
        """Allow `most` of them."""
        self.count = 0
        self._most = most
        self._lock = threading.Lock()

    def add(self) -> bool:
        """Count one in, and say so, if there is room."""
        with self._lock:
            room = self.count < self._most
            self.count += room
            return room

    def remove(self) -> None:
        """Count one out."""
        with self._lock:
            self.count -= 1


class LaterBody:
    """The body of a reply that is not there yet; going through it waits for it, and begins the reply."""

    def __init__(self, later: Later, turns: Turns, finish: Callable[[], list[bytes]]) -> None:
        """Once `later` is ready, `finish` begins the reply and returns its body."""
        self._later = later
        self._turns = turns
        self._finish = finish

    def when_ready(self, call: Callable[[], None]) -> None:
        """Have `call` called, by any thread, once going through this takes no waiting."""
        self._later.pending.when_told(call)

    def __iter__(self) -> Iterator[bytes]:
        """Wait, if that is needed, and yield the body."""
        self._later.wait(self._turns)
        yield from self._finish()
