"""Clients that ask and assert at a steady pace while something is done to the host, and count what fails."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import final

from stemedb.client import Client, sign
from stemedb.errors import StemedbError
from stemedb.model import Assertion, ObjectKind, SignedAssertion, Signer, Value

# Fifty requests a second in all; a third of the clients connects anew for each.
WRITERS, READERS, PERIOD_S = 2, 8, 0.2
TIMEOUT_S = 60
STARTING = "starting"


@final
class Traffic:
    """Requests from entering the block until its end; nothing is tried twice."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._go, args=(number,)) for number in range(WRITERS + READERS)
        ]
        self.sent = 0
        self.failed: list[str] = []
        # Told to come back: what a start that takes longer than its grace answers.
        self.postponed: list[str] = []
        self.longest_s = 0.0

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        return (
            f"{len(self.failed)} of {self.sent} requests failed, {len(self.postponed)} told to come back, "
            f"the longest took {self.longest_s:.1f} s"
        )

    def _go(self, number: int) -> None:
        signer = Signer(bytes([number + 1]) * 32)
        client = self._client()
        due = time.monotonic()
        sent = 0
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic() - PERIOD_S) + PERIOD_S
            if number % 3 == 0:
                client.close()
                client = self._client()
            started = time.monotonic()
            failure = self._one(client, signer if number < WRITERS else None, sent)
            with self._lock:
                self.sent += 1
                self.longest_s = max(self.longest_s, time.monotonic() - started)
                if failure is not None:
                    (self.postponed if failure.reason == STARTING else self.failed).append(repr(failure))
            sent += 1
        client.close()

    def _client(self) -> Client:
        return Client(self._url, timeout_s=TIMEOUT_S, patience_s=0)

    def _one(self, client: Client, signer: Signer | None, number: int) -> StemedbError | None:
        """Send one request; returns what was wrong with it."""
        try:
            if signer is None:
                client.query("traffic://host", "beat")
            else:
                client.assert_claim(beat(number, signer))
        except StemedbError as error:
            return error
        return None


def beat(number: int, signer: Signer) -> SignedAssertion:
    """A claim of its own."""
    value = Value(ObjectKind.NUMBER, float(number))
    return sign(Assertion("traffic://host", "beat", value, 0.5, int(time.time())), signer)
