"""The head of a running log: published once durable, waited for by many threads, and gone when it dies."""

from __future__ import annotations

import time
from threading import Condition

from stemedb.errors import StemedbError, StorageFailed, Unavailable
from stemedb.log.protocol import Head


class Board:
    """Holds the head; the log's one writer publishes, anybody reads and waits."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._refusal: StemedbError | None = None
        self._changed = Condition()

    @property
    def closed(self) -> bool:
        """Say whether the log was closed or died."""
        return self._refusal is not None

    def check(self) -> None:
        """Refuse if the log is closed or dead.

        Raises:
            StorageFailed: it died.
            Unavailable: it was closed.
        """
        if self._refusal is not None:
            # A new one each time: raised from many threads, one object would gather all their tracebacks.
            raise type(self._refusal)(self._refusal.detail)

    def head(self) -> Head:
        """Give the last published head."""
        self.check()
        return self._head

    def publish(self, head: Head) -> None:
        """Show a new durable head and wake whoever waits for it."""
        with self._changed:
            self._head = head
            self._changed.notify_all()

    def fail(self, error: StorageFailed) -> None:
        """Let the log die: every later call raises this error."""
        self._refuse(error)

    def close(self) -> None:
        """Refuse every later call, unless the log died before."""
        self._refuse(Unavailable("the log is closed"))

    def _refuse(self, refusal: StemedbError) -> None:
        with self._changed:
            self._refusal = self._refusal or refusal
            self._changed.notify_all()

    def wait(self, after_seq: int, timeout_s: float) -> bool:
        """Wait for a head beyond `after_seq`; False after `timeout_s`, or when the log is closed meanwhile.

        Raises:
            StorageFailed: the log died.
            Unavailable: it was closed before.
        """
        self.check()
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._head.seq <= after_seq and self._refusal is None:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(left_s)
            if isinstance(self._refusal, StorageFailed):
                self.check()
            return self._head.seq > after_seq
