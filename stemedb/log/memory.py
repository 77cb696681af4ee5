"""A log in memory: the protocol without a disk, for tests and for tools that throw it away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock

import msgspec

from stemedb.limits import LOG_READ_RECORDS_MAX
from stemedb.log.board import Board
from stemedb.log.checks import check_batch, check_erasable, check_from, check_page
from stemedb.log.frames import chain_start, next_chain, payload_hash
from stemedb.log.genesis import genesis_draft, new_log_id
from stemedb.log.protocol import Clock, Draft, Head, Position, Record


def wall_clock() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class MemoryLog:
    """Keeps `Log`; durable as long as the object lives."""

    def __init__(self, *, server_key: bytes, clock: Clock = wall_clock) -> None:
        """Begin with the genesis alone."""
        self._clock = clock
        self._lock = Lock()
        self._records: list[Record] = []
        self._hashes: list[bytes] = []
        self._log_id = new_log_id()
        self._board = Board(Head(0, chain_start(self._log_id), 0))
        now = clock()
        self._add([genesis_draft(self._log_id, now, server_key)], now)

    @property
    def log_id(self) -> bytes:
        """The random 16 bytes that name this log."""
        return self._log_id

    def append(self, batch: Sequence[Draft]) -> Position:
        """Add a batch; see `Log.append`."""
        with self._lock:
            self._board.check()
            check_batch(batch)
            return self._add(batch, self._clock())

    def _add(self, batch: Sequence[Draft], now: int) -> Position:
        seq, chain, last_time = self._board.head()
        first = Position(seq + 1, max(now, last_time + 1))
        for i, draft in enumerate(batch):
            record = Record(first.first_seq + i, first.recorded_at + i, draft.type, bytes(draft.body))
            digest = payload_hash(record.seq, record.recorded_at, draft)
            chain = next_chain(chain, digest)
            self._records.append(record)
            self._hashes.append(digest)
        self._board.publish(Head(record.seq, chain, record.recorded_at))
        return first

    def read(self, from_seq: int, limit: int) -> list[Record]:
        """Give records in order; see `Log.read`."""
        head = self._board.head()
        check_from(from_seq)
        upto = min(head.seq, from_seq - 1 + min(limit, LOG_READ_RECORDS_MAX))
        return self._records[from_seq - 1 : upto]

    def hashes(self, from_seq: int, to_seq: int) -> list[bytes]:
        """Give frame hashes; see `Log.hashes`."""
        check_page(from_seq, to_seq, self._board.head().seq)
        return self._hashes[from_seq - 1 : to_seq]

    def erase(self, seqs: Sequence[int]) -> None:
        """Let go of the bodies of records; see `Log.erase`."""
        with self._lock:
            check_erasable(seqs, self._board.head().seq)
            for seq in seqs:
                self._records[seq - 1] = msgspec.structs.replace(
                    self._records[seq - 1], body=b"", redacted=True
                )

    def head(self) -> Head:
        """Give the last record's seq, chain value and time."""
        return self._board.head()

    def wait(self, after_seq: int, timeout_s: float) -> bool:
        """Wait for a record after `after_seq`; see `Log.wait`."""
        return self._board.wait(after_seq, timeout_s)

    def close(self) -> None:
        """Refuse every later call."""
        self._board.close()
