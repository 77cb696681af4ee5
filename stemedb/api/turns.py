"""Who takes the next request: never more than two threads at work, if that can be helped.

Python runs one thread at a time. Whoever lets go of the interpreter, to verify a signature or to send a
reply, stands behind all who want it when it comes back: with all workers at work, waking and waiting costs
more than the questions themselves. So a worker needs a turn to take a request, and keeps it for the next one,
unless it has to wait for the log or for news: then another goes on with it, and what is left to do after the
wait is short.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from stemedb import limits


class Turns:
    """The turns of one server's workers; `with turns.waived:` runs what waits."""

    def __init__(self) -> None:
        """Make the turns, all free."""
        self.waived = _Waived(self)
        self._free: SimpleQueue[None] = SimpleQueue()
        self._next = threading.Lock()
        self._thread = _Thread()
        for _ in range(limits.TURNS):
            self._free.put(None)

    def take(self, waiting: Callable[[], int]) -> None:
        """Return when this thread may take a request; at once if it has a turn.

        Behind long questions none comes free: who is next looks now and then how many requests are `waiting`,
        and goes on without a turn if there were some all the while.
        """
        if self._thread.held:
            return
        with self._next:
            while True:
                stood = waiting() > 0
                try:
                    self._free.get(timeout=limits.TURN_WAIT_S)
                except Empty:
                    if stood and waiting():
                        return
                else:
                    self._thread.held = True
                    return

    def give_back(self) -> None:
        """Let another worker take requests, if this thread has a turn."""
        if self._thread.held:
            self._thread.held = False
            self._free.put(None)


class _Thread(threading.local):
    """What a thread has."""

    held = False


class _Waived:
    """See `Turns`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def __enter__(self) -> None:
        self._turns.give_back()

    def __exit__(self, *_: object) -> None:
        pass
