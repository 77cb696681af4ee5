"""What the rest of the system may know of the log: records in one order, durable when `append` returns.

Nothing here speaks of files. The same protocol is kept by the local log and by the one in memory, and
is meant to be kept by a replicated engine later: so no caller may assume that it assigns `seq` itself,
that it is the only writer, or how records are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

GENESIS_TYPE = 1
"""Record type of record 1, written by the log itself; callers use 2 to 255."""

Clock = Callable[[], int]
"""Wall clock in microseconds since 1970 (UTC)."""


class Draft(NamedTuple):
    """What a caller wants appended: a record type (2 to 255) and opaque bytes."""

    type: int
    body: bytes


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as it stands in the log.

    `recorded_at` is in microseconds, strictly increasing with `seq`. An erased record keeps its place with
    `redacted` set and an empty body.
    """

    seq: int
    recorded_at: int
    type: int
    body: bytes
    redacted: bool = False


class Position(NamedTuple):
    """Where a batch landed: record i of it has `first_seq + i` and `recorded_at + i` (microseconds)."""

    first_seq: int
    recorded_at: int


class Head(NamedTuple):
    """The last durable record: its seq, the chain value (32 bytes) and its `recorded_at` (microseconds)."""

    seq: int
    chain: bytes
    time: int


class Log(Protocol):
    """An ordered, append-only, durable sequence of records, gapless from seq 1 (the genesis).

    Safe to use from many threads. After `StorageFailed` the log is dead: every later call raises it.
    After `close` every call but `close` raises `Unavailable`.
    """

    @property
    def log_id(self) -> bytes:
        """The random 16 bytes that name this log for ever."""

    def append(self, batch: Sequence[Draft]) -> Position:
        """Make the batch durable, all of it or nothing, and say where it landed.

        Raises:
            Invalid: the batch is empty or over a limit; nothing was written.
            Unavailable: no room for it now (disk full, read-only); nothing was written, the log lives on.
            StorageFailed: a write or sync failed and the outcome is unknown; the log is dead.
        """

    def read(self, from_seq: int, limit: int) -> list[Record]:
        """Read records in order without gaps, from `from_seq` (at least 1) on.

        May give fewer than `limit` (the bytes of one answer are bounded), at least one where there is one,
        and nothing beyond the head.

        Raises:
            Invalid: `from_seq` is below 1.
            Corrupt: stored bytes are not what was written.
        """

    def hashes(self, from_seq: int, to_seq: int) -> list[bytes]:
        """Give the frame hashes (32 bytes each) of `from_seq` to `to_seq`, both included.

        The chain value of a record is `next_chain(chain of the record before, its hash)`.

        Raises:
            Invalid: the range is empty, beyond the head, or longer than `LOG_PROOF_PAGE_MAX`.
            Corrupt: stored bytes are not what was written.
        """

    def erase(self, seqs: Sequence[int]) -> None:
        """Overwrite the bodies of these records wherever the log keeps them; durable when it returns.

        The records keep their place, time and hash, so that every chain value and proof stays as it was. May
        be repeated. The caller appends a record that names the seqs before it calls this: what a stop cuts
        short is to be called for again after the next opening.

        Raises:
            Invalid: a seq is below 2 or beyond the head; nothing was overwritten.
            StorageFailed: a write or sync failed; the log is dead.
            Corrupt: stored bytes are not what was written.
        """

    def head(self) -> Head:
        """Give the last durable record's seq, chain value and time."""

    def wait(self, after_seq: int, timeout_s: float) -> bool:
        """Wait until `head().seq > after_seq`, at most `timeout_s`; say whether it is so.

        Gives False at once when the log is closed while waiting.
        """

    def close(self) -> None:
        """Stop. Nothing appended is lost; a second call does nothing."""
