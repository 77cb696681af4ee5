"""Verifying what agents signed, for a whole log: claims, later signatures, votes, epochs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from stemedb.errors import Corrupt
from stemedb.limits import VERIFY_THREADS
from stemedb.log import Record
from stemedb.model import Signature, assertion_id, canonical_bytes, verify_signature
from stemedb.model.records import AssertionRecord, EndorsementRecord, EpochRecord, VoteRecord, decode_body
from stemedb.model.statements import epoch_id, vote_id

_WAITING_MAX: Final = 2 * VERIFY_THREADS  # pieces handed over and not yet verified


class SignatureCheck:
    """Verifies signatures in threads beside whoever reads the records. Use as a context manager."""

    def __init__(self) -> None:
        """Start the threads."""
        self._pool = ThreadPoolExecutor(VERIFY_THREADS, thread_name_prefix="verify")
        self._waiting: deque[Future[int]] = deque()
        self.count = 0

    def add(self, records: Sequence[Record]) -> None:
        """Hand records over; waits where the threads fall behind.

        Raises:
            Corrupt: a signature, of these or of earlier records, does not verify.
        """
        if not records:
            return
        while len(self._waiting) >= _WAITING_MAX:
            self.count += self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(_verify, records))

    def finish(self) -> int:
        """Wait for the rest; return how many signatures were verified. Raises as `add` does."""
        while self._waiting:
            self.count += self._waiting.popleft().result()
        return self.count

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)


def _verify(records: Sequence[Record]) -> int:
    count = 0
    for record in records:
        for content_id, signature in _signed(record):
            if not verify_signature(content_id, signature):
                agent = signature.agent_id.hex()
                detail = f"record {record.seq}: the signature of {agent} does not verify"
                raise Corrupt(detail, code="bad_signature")
            count += 1
    return count


def _signed(record: Record) -> Iterator[tuple[bytes, Signature]]:
    """Yield what a record's signatures are over; unsigned ones, of unsafe mode, are passed over."""
    if record.redacted:
        return
    body = decode_body(record.type, record.body)
    if isinstance(body, AssertionRecord):
        claim_id = assertion_id(canonical_bytes(body.assertion))
        yield from ((claim_id, each) for each in body.signatures)
    elif isinstance(body, EndorsementRecord):
        yield from ((body.claim_id, each) for each in body.signatures)
    elif isinstance(body, VoteRecord) and body.signature:
        vote = body.vote
        yield vote_id(vote), Signature(vote.agent_id, body.signature, vote.timestamp)
    elif isinstance(body, EpochRecord) and body.signature:
        epoch = body.epoch
        yield epoch_id(epoch), Signature(epoch.agent_id, body.signature, epoch.timestamp)
