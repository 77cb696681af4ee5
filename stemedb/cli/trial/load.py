"""What a trial says and asks: claims of keys made for it, and questions about them."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from stemedb.client import sign
from stemedb.model import Assertion, ObjectKind, Signer, Tier, Value

if TYPE_CHECKING:
    from stemedb.cli.trial.pace import Work
    from stemedb.client import Client
    from stemedb.model import SignedAssertion

PREDICATE = "is"
CLAIMS_EACH = 10  # about one subject
_SIGNERS = 20
_VALUES = 4

Connect = Callable[[], "Client"]


class Trial:
    """The claims of one run; safe to use from many threads."""

    def __init__(self, connect: Connect, stack: ExitStack) -> None:
        """Talk through clients that `connect` makes and `stack` closes."""
        self._connect = connect
        self._stack = stack
        self._run = secrets.token_hex(4)
        self._signers = [Signer.generate() for _ in range(_SIGNERS)]
        self._numbers = itertools.count()
        self._known = 0
        self._counting = threading.Lock()

    def claims(self, count: int) -> Iterator[SignedAssertion]:
        """Yield so many new claims, ten about one subject."""
        now_s = int(time.time())
        for number in itertools.islice(self._numbers, count):
            content = Assertion(
                subject=self._subject(number // CLAIMS_EACH),
                predicate=PREDICATE,
                object=Value(ObjectKind.NUMBER, float(number % _VALUES)),
                confidence=0.5 + number % 50 / 100,
                timestamp=now_s,
                source_class=Tier(number % len(Tier)),
            )
            yield sign(content, self._signers[number % _SIGNERS])

    def load(self, count: int) -> None:
        """Write so many claims in bulk; raises the first refusal."""
        for result in self._client().bulk(self.claims(count)):
            if result.error is not None:
                raise result.error
        with self._counting:
            self._known += count

    def one_claim(self) -> Work:
        """Return work that writes one claim."""
        client = self._client()

        def work() -> None:
            for claim in self.claims(1):
                client.assert_claim(claim)

        return work

    def some_claims(self, count: int) -> Work:
        """Return work that writes `count` claims in one request; it signs them for the turn after it."""
        client = self._client()
        ready = list(self.claims(count))

        def work() -> None:
            nonlocal ready
            for result in client.bulk(ready):
                if result.error is not None:
                    raise result.error
            ready = list(self.claims(count))

        return work

    def question(self, lens: str) -> Work:
        """Return work that asks about one subject of those that were loaded, each time another."""
        client = self._client()
        subjects = itertools.cycle(range(max(1, self._known // CLAIMS_EACH)))

        def work() -> None:
            client.query(self._subject(next(subjects)), PREDICATE, lens=lens)

        return work

    def _subject(self, number: int) -> str:
        return f"trial://{self._run}/{number}"

    def _client(self) -> Client:
        return self._stack.enter_context(self._connect())


def each(make: Callable[[], Work], count: int) -> Sequence[Work]:
    """Return so many pieces of work of one kind, each with a connection of its own."""
    return [make() for _ in range(count)]
