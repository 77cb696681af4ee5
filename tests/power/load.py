"""Clients outside the machine that write until its power is cut, and remember what they were promised."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import final

from stemedb.client import Client, batches, sign
from stemedb.errors import QuotaExceeded, Unavailable
from stemedb.model import Assertion, ObjectKind, SignedAssertion, Signer, Value

SINGLE_WRITERS = 4
BULK_WRITERS = 1
BULK_LINES = 20
REPLY_TIMEOUT_S = 60
PROGRESS_TIMEOUT_S = 300
RETRY_S = 0.2


class Ledger:
    """Every acknowledged claim: its id, the seq that the reply named, and what it is about."""

    def __init__(self) -> None:
        """Nothing is promised yet."""
        self.seqs: dict[str, int] = {}
        self.subjects: dict[str, set[str]] = {}
        self._grown = threading.Condition()

    def add(self, subject: str, hashes: dict[str, int]) -> None:
        """Note what one reply promised."""
        with self._grown:
            self.seqs.update(hashes)
            self.subjects.setdefault(subject, set()).update(hashes)
            self._grown.notify_all()

    def wait(self, count: int) -> bool:
        """Wait until `count` claims are promised; says whether they are."""
        with self._grown:
            return self._grown.wait_for(lambda: len(self.seqs) >= count, timeout=PROGRESS_TIMEOUT_S)


@final
class Load:
    """Writers against `url`, from entering the block until they are told that the power goes."""

    def __init__(self, url: str, ledger: Ledger, name: str) -> None:
        """`name` makes this load's subjects its own. `broken`: what went unanswered before the cut."""
        self._url = url
        self._ledger = ledger
        self._power_goes = threading.Event()
        self._over = threading.Event()
        self.broken: list[str] = []
        self._threads = [
            threading.Thread(target=self._write, args=(f"power://{name}/{number}", number, lines))
            for number, lines in enumerate([1] * SINGLE_WRITERS + [BULK_LINES] * BULK_WRITERS)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._power_goes.set()
        self._over.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self, more: int) -> None:
        """Go on until `more` claims than now are acknowledged, then expect the connections to break."""
        enough = self._ledger.wait(len(self._ledger.seqs) + more)
        self._power_goes.set()
        assert enough, f"the load came to a standstill: {self.broken[-3:]}"

    def _write(self, subject: str, number: int, lines: int) -> None:
        signer = Signer(bytes([number + 1]) * 32)
        sent = 0
        with Client(self._url, timeout_s=REPLY_TIMEOUT_S, patience_s=0) as client:
            while not self._over.is_set():
                claims = [claim(subject, sent + line, signer) for line in range(lines)]
                sent += lines
                while (promised := self._try(client, claims)) is None:
                    if self._power_goes.wait(RETRY_S):
                        return
                self._ledger.add(subject, promised)

    def _try(self, client: Client, claims: list[SignedAssertion]) -> dict[str, int] | None:
        """Send once and return what was acknowledged; none if no answer came, or "not so fast"."""
        try:
            return self._send(client, claims)
        except Unavailable as error:
            if not self._power_goes.is_set():
                self.broken.append(str(error))
            return None
        except QuotaExceeded as error:
            # A host that is not emulated answers faster than one client may send.
            if error.reason != "rate_limit":
                raise
            return None

    def _send(self, client: Client, claims: list[SignedAssertion]) -> dict[str, int]:
        """Send and return what was acknowledged; raises if anything was refused."""
        if len(claims) == 1:
            reply = client.assert_claim(claims[0])
            return {reply.hash: reply.seq}
        results = [result for batch in batches(claims) for result in client.send_batch(batch)]
        for result in results:
            if result.error:
                raise result.error
        return {result.hash: result.seq for result in results if result.hash and result.seq}


def claim(subject: str, number: int, signer: Signer) -> SignedAssertion:
    """Return a claim that no other is equal to."""
    value = Value(ObjectKind.NUMBER, float(number))
    return sign(Assertion(subject, "reading", value, 0.9, int(time.time())), signer)
