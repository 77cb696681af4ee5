"""Changes on their way through the writer, and whoever wants to know what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from stemedb.engine.batch import Change
from stemedb.engine.changes import Outcome
from stemedb.errors import StemedbError, Unavailable

Result = Outcome | StemedbError
"""What became of one change, or why the state did not allow it."""


class Pending:
    """Changes of one caller, which waits for what becomes of them, or has itself called."""

    __slots__ = ("_calls", "_done", "_told", "changes", "error", "key_id", "results", "size_bytes", "solo")

    def __init__(self, key_id: bytes | None = None) -> None:
        """Nothing is known yet; where they come with an API key, it must still live when they are decided."""
        self.changes: Sequence[Change] = ()
        self.key_id = key_id
        self.solo = False
        self.size_bytes = 0
        self.results: list[Result] = []
        self.error: Exception | None = None
        self._done = False
        self._calls: list[Callable[[], None]] = []
        # A bare lock, held until the answer is there: an Event is a lock, a condition and a queue of locks.
        self._told = threading.Lock()
        self._told.acquire()

    def carry(self, changes: Sequence[Change]) -> Pending:
        """Take the changes that are to be written, before the writer has it; return this."""
        self.changes = changes
        self.solo = any(change.solo for change in changes)
        self.size_bytes = sum(change.size_bytes for change in changes)
        return self

    def refuse(self, error: Exception) -> None:
        """Tell the caller that nothing of it was written, and why, unless it was told already."""
        if not self._done:
            self.error = error
            self.tell()

    @property
    def is_told(self) -> bool:
        """Whether it is known what became of them."""
        return self._done

    def wait_told(self) -> None:
        """Return as soon as it is known what became of them."""
        with self._told:
            pass

    def wait(self) -> list[Result]:
        """Return what became of each change, or why not, in order, as soon as that is known.

        Raises:
            Unavailable: there is no room on the disk just now.
            StorageFailed: a write or sync failed; nothing of this was acknowledged.
        """
        self.wait_told()
        if self.error is not None:
            raise self.error
        return self.results

    def outcome(self) -> Outcome:
        """Return what became of the only change; raises as `wait` does, and what the state does not allow."""
        (result,) = self.wait()
        if isinstance(result, StemedbError):
            raise result
        return result

    def when_told(self, call: Callable[[], None]) -> None:
        """Have `call` called once `wait` would not wait any more: by the writer, which it must not hold up.

        Where that is so already it is called at once. For one caller only.
        """
        self._calls.append(call)
        if self._done:
            self._call()

    def tell(self) -> None:
        """Wake the caller; a second call, by the same thread, does nothing."""
        if not self._done:
            self._done = True
            self._told.release()
            self._call()

    def _call(self) -> None:
        """Make the call, if one waits to be made: writer and caller may both come here, one finds it."""
        try:
            call = self._calls.pop()
        except IndexError:
            return
        call()


def why_not(*, closed: bool, waiting: int, most: int) -> Unavailable | None:
    """Return why a queue takes no more, if it is `closed` or more than `most` would be `waiting`."""
    if closed:
        return Unavailable("no more writes are taken", code="draining", retry_after_s=1)
    if waiting > most:
        return Unavailable(f"{most} changes wait already", code="queue_full", retry_after_s=1)
    return None
