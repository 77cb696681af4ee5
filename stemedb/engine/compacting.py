"""When the view moves to a new file: within a day of an erasure, or when it is asked to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stemedb import limits
from stemedb.engine.replay import catch_up
from stemedb.errors import Corrupt, Unavailable
from stemedb.log import Log
from stemedb.store import View
from stemedb.telemetry import Telemetry

_US_PER_S = 1_000_000


class Compactor:
    """Owns the thread that moves one view to a new file (`View.compact`). It writes nothing to the log."""

    def __init__(
        self, log: Log, view: View, telemetry: Telemetry, on_failure: Callable[[Exception], None]
    ) -> None:
        """Start the thread; `on_failure` is told when the view or the log turn out to be damaged."""
        self._log = log
        self._view = view
        self._telemetry = telemetry
        self._on_failure = on_failure
        self._changed = threading.Condition()
        self._at_once = False
        self._closed = False
        self._failures = 0
        self._rest_until_s = 0.0
        self._thread = threading.Thread(target=self._run, name="stemedb-compact", daemon=True)
        self._thread.start()

    def due_s(self) -> int | None:
        """Return by when (Unix seconds) old bytes are gone from the view's file; None where none are."""
        since_us = self._view.compact_since()
        return None if since_us is None else since_us // _US_PER_S + limits.VIEW_COMPACT_WITHIN_S

    def look_again(self) -> None:
        """Look at what is due: something was erased."""
        with self._changed:
            self._changed.notify_all()

    def run_now(self, timeout_s: float) -> None:
        """Move the view at once if old bytes are in its file; wait for that, at most `timeout_s`."""
        with self._changed:
            failures = self._failures
            self._at_once = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._closed or self._failures > failures or self._view.compact_since() is None,
                timeout_s,
            )

    def close(self) -> None:
        """End the thread, giving up a move that is under way; a second call does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._wait():
                self._move()
        except Corrupt as error:
            self._on_failure(error)

    def _wait(self) -> bool:
        """Wait until a move is due; False once closed."""
        with self._changed:
            while not self._closed:
                pause_s = self._pause_s()
                if pause_s is not None and pause_s <= 0:
                    self._at_once = False
                    return True
                self._changed.wait(pause_s)
            return False

    def _pause_s(self) -> float | None:
        """Return how long nothing is due: seconds, None for as long as nobody calls."""
        since_us = self._view.compact_since()
        if since_us is None:
            self._at_once = False
            return None
        if self._at_once:
            return 0
        due_s = since_us / _US_PER_S + limits.VIEW_COMPACT_AFTER_S - time.time()
        # Looked at again now and then: the clock may be set, and a machine may sleep.
        return min(max(due_s, self._rest_until_s - time.monotonic()), limits.VIEW_COMPACT_LOOK_S)

    def _move(self) -> None:
        try:
            with self._telemetry.operation("compact"):
                self._view.compact(self._follow, self._go_on)
        except Unavailable:
            # No room, most likely. The old file still serves; the health check and the metric tell.
            self._failures += not self._closed
            self._rest_until_s = time.monotonic() + limits.VIEW_COMPACT_RETRY_S
        with self._changed:
            self._changed.notify_all()

    def _follow(self, copy: View) -> None:
        catch_up(self._log, copy, lambda _text: self._go_on())

    def _go_on(self) -> None:
        if self._closed:
            raise Unavailable("the service is closing")
