"""What belongs to this host alone: the audits of questions. No part of the log, of `seq` or of any digest.

An LMDB environment of its own, in a folder beside the view's file. A thread writes; whoever asks a question
hands its audit over and never waits: where the thread falls behind, audits are dropped and counted. Whoever
looks for audits waits for those handed over before, and the thread makes haste: what a reader asks for after
an answer holds that answer's audit, however busy the host. Losing this folder loses audits and nothing else,
so a damaged one is put aside at the start and a new one begun.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile
from pathlib import Path
from shutil import rmtree

import lmdb
import msgspec
from blake3 import blake3

from stemedb import limits
from stemedb.errors import Corrupt, Unavailable
from stemedb.store import keys
from stemedb.store.pages import DATA_NAME, check_pages
from stemedb.store.table import Table

FOLDER_NAME = "local"
ASIDE_NAME = "local.damaged"

_U64_MAX = 2**64 - 1
_RANDOM_BYTES = 24
_DRAWN_AT_ONCE = 256
_ID_BYTES = 32
_TABLES_MAX = 8
_US_PER_S = 1_000_000
_BYTES = b"bytes"


class AuditRow(msgspec.Struct, frozen=True, array_like=True):
    """A question and its answer, asked at `at_us` (microseconds) by whoever called itself `agent`.

    `parameters` are as given. `seq` and `clock_s` (Unix seconds) are the moment it was answered by, so that
    it can be answered again; `result_hash` is the reply's ETag. `contributing` are the first of
    `contributing_count` claims, by id, with their weights; `indexed` if it can be found by them. `first` is
    the id of the audit of the same answer when it was given first, where it was given again.
    """

    at_us: int
    agent: str
    endpoint: str
    parameters: tuple[tuple[str, tuple[str, ...]], ...]
    seq: int
    clock_s: int
    result_hash: str
    contributing: tuple[tuple[bytes, float], ...]
    contributing_count: int
    indexed: bool
    first: bytes = b""


class LocalStore:
    """Keeps audits for `kept_s` seconds, and of those the newest that fit into `bytes_max`."""

    def __init__(
        self,
        folder: Path,
        *,
        on_drop: Callable[[int], None] = lambda _count: None,
        bytes_max: int = limits.AUDIT_BYTES_MAX,
        kept_s: float = limits.AUDIT_KEPT_S,
    ) -> None:
        """Open or begin it in `folder`, and start the thread; `on_drop` is told how many audits were lost."""
        self._on_drop = on_drop
        self._kept_us = int(kept_s * _US_PER_S)
        # Pages are half full where new rows come first, and each change needs its pages twice until the next
        # one but one: rows may have a quarter of the file. The map is larger, so that it never gets stuck.
        self._rows_bytes_max = bytes_max // 4
        self._env = _open(folder, 2 * bytes_max)
        self._audits = Table("audits", AuditRow)
        self._by_agent = Table("by_agent", type(None))
        self._by_claim = Table("by_claim", type(None))
        self._repeats = Table("repeats", type(None))
        self._totals = Table("totals", int)
        for table in (self._audits, self._by_agent, self._by_claim, self._repeats, self._totals):
            table.open(self._env)
        self._queue: deque[tuple[bytes, AuditRow]] = deque()
        self._wake = threading.Condition()
        self._written = threading.Condition()
        # How many audits were handed over, how many of them left the queue for good, and up to which of
        # them somebody waits. The first and the last belong to `_wake`.
        self._handed_count = 0
        self._done_count = 0
        self._wanted_count = 0
        self._drawn: list[bytes] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="stemedb-local", daemon=True)
        self._thread.start()

    def put(self, row: AuditRow) -> bytes | None:
        """Hand an audit over; return its id (32 bytes), or None where there is no room for it."""
        with self._wake:
            waiting = len(self._queue)
            if self._closed or waiting >= limits.AUDIT_QUEUE_MAX:
                self._on_drop(1)
                return None
            audit_id = keys.u64(_U64_MAX - row.at_us) + self._random()
            self._queue.append((audit_id, row))
            self._handed_count += 1
            # In between the thread gathers: waking it would cost more than the rest of this.
            if waiting == 0 or waiting == limits.AUDIT_BATCH_MAX - 1:
                self._wake.notify()
        return audit_id

    def _random(self) -> bytes:
        """Return random bytes; many are drawn at once, because each call of the system takes its time."""
        if not self._drawn:
            drawn = os.urandom(_RANDOM_BYTES * _DRAWN_AT_ONCE)
            self._drawn = [drawn[at : at + _RANDOM_BYTES] for at in range(0, len(drawn), _RANDOM_BYTES)]
        return self._drawn.pop()

    # -- reading: everything handed over before is seen, or `Unavailable` raised where that takes too long --

    def audit(self, audit_id: bytes) -> AuditRow | None:
        """Return one audit, if it is (still) there."""
        self._catch_up()
        with self._env.begin(buffers=True) as txn:
            return self._audits.get(txn, audit_id)

    def audits(
        self, agent: str | None, from_us: int, to_us: int, limit: int, after: bytes | None = None
    ) -> list[tuple[bytes, AuditRow]]:
        """Return audits from `from_us` to `to_us` (microseconds, both included), the newest first.

        Of all agents where `agent` is None; from behind the id `after` where given.
        """
        start = max(_newest_at(to_us), after or b"")
        self._catch_up()
        with self._env.begin(buffers=True) as txn:
            if agent is None:
                found = self._audits.walk(txn, after=start)
                return list(islice(_not_before(from_us, found), limit))
            prefix = _agent_key(agent)
            return list(
                islice(_not_before(from_us, self._look_up(txn, self._by_agent, prefix, start)), limit)
            )

    def audits_of(self, claim_ids: Iterable[bytes], limit: int) -> list[bytes]:
        """Return the ids of the newest resolutions that rest on any of these claims, the newest first.

        An answer that was given again is as new as it was the first time, with all that followed.
        """
        self._catch_up()
        with self._env.begin(buffers=True) as txn:
            first = {
                audit_id
                for claim_id in claim_ids
                for audit_id, _ in islice(self._look_up(txn, self._by_claim, claim_id, b""), limit)
            }
            again = {
                audit_id
                for each in sorted(first)[:limit]
                for audit_id, _ in islice(self._look_up(txn, self._repeats, each, b""), limit)
            }
        return sorted(first | again)[:limit]

    def _catch_up(self) -> None:
        """Wait until what was handed over before this call is written; questions never do."""
        with self._wake:
            wanted = self._wanted_count = self._handed_count
            self._wake.notify()
        with self._written:
            if not self._written.wait_for(lambda: self._done_count >= wanted, limits.AUDIT_WAIT_S_MAX):
                raise Unavailable(
                    f"the last audits were not written within {limits.AUDIT_WAIT_S_MAX:.0f} s",
                    code="not_yet_visible",
                )

    def _look_up(
        self, txn: lmdb.Transaction, index: Table[None], prefix: bytes, start: bytes
    ) -> Iterator[tuple[bytes, AuditRow]]:
        for key, _ in index.walk(txn, prefix, prefix + start):
            audit_id = key[len(prefix) :]
            yield audit_id, self._audits.require(txn, audit_id)

    # -- the thread --

    def close(self) -> None:
        """Write what waits and close; a second call does nothing."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        self._env.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return
                # Some more come while it waits: one sync for all of them.
                self._wake.wait_for(self._is_urgent, limits.AUDIT_GATHER_S)
                taken = min(len(self._queue), limits.AUDIT_BATCH_MAX)
                batch = [self._queue.popleft() for _ in range(taken)]
            self._write_or_drop(batch)
            with self._written:
                self._done_count += len(batch)
                self._written.notify_all()

    def _is_urgent(self) -> bool:
        somebody_waits = self._wanted_count > self._done_count
        return self._closed or somebody_waits or len(self._queue) >= limits.AUDIT_BATCH_MAX

    def _write_or_drop(self, batch: list[tuple[bytes, AuditRow]]) -> None:
        try:
            self._prune()
            self._write(batch)
        except (lmdb.Error, Corrupt):
            self._on_drop(len(batch))

    def _write(self, batch: list[tuple[bytes, AuditRow]]) -> None:
        with self._env.begin(write=True) as txn:
            total = self._totals.get(txn, _BYTES) or 0
            self._audits.put_all(txn, batch)
            self._by_agent.put_all(txn, [(key, None) for each in batch for key in _agent_keys(*each)])
            self._by_claim.put_all(txn, [(key, None) for each in batch for key in _claim_keys(*each)])
            self._repeats.put_all(txn, [(key, None) for each in batch for key in _repeat_keys(*each)])
            self._totals.put(txn, _BYTES, total + sum(_size_bytes(row) for _, row in batch))

    def _prune(self) -> None:
        """Remove some of what is too old or too much, the oldest first.

        In a transaction of its own, because LMDB gives pages back to the next one only.
        """
        oldest_us = time.time_ns() // 1000 - self._kept_us
        with self._env.begin(write=True) as txn:
            before = total = self._totals.get(txn, _BYTES) or 0
            for _ in range(limits.AUDIT_PRUNE_MAX):
                found = self._audits.last(txn, b"", b"\xff" * _ID_BYTES)
                if found is None or (found[1].at_us >= oldest_us and total <= self._rows_bytes_max):
                    break
                audit_id, row = found
                self._audits.delete(txn, audit_id)
                for key in _agent_keys(audit_id, row):
                    self._by_agent.delete(txn, key)
                for key in _claim_keys(audit_id, row):
                    self._by_claim.delete(txn, key)
                for key in _repeat_keys(audit_id, row):
                    self._repeats.delete(txn, key)
                total -= _size_bytes(row)
            if total != before:
                self._totals.put(txn, _BYTES, total)


def _agent_keys(audit_id: bytes, row: AuditRow) -> list[bytes]:
    """Return under which keys an audit is found by who asked."""
    return [_agent_key(row.agent) + audit_id] if row.agent else []


def _claim_keys(audit_id: bytes, row: AuditRow) -> list[bytes]:
    """Return under which keys an audit is found by the claims that its answer rests on."""
    first = row.indexed and not row.first
    return [claim_id + audit_id for claim_id, _ in row.contributing] if first else []


def _repeat_keys(audit_id: bytes, row: AuditRow) -> list[bytes]:
    """Return under which keys an audit is found by that of the same answer when it was given first."""
    return [row.first + audit_id] if row.indexed and row.first else []


def _newest_at(at_us: int) -> bytes:
    """Return what no id of an audit up to `at_us` (microseconds) is before: ids run backwards in time."""
    return keys.u64(_U64_MAX - max(0, min(at_us, _U64_MAX)))


def _not_before(at_us: int, found: Iterator[tuple[bytes, AuditRow]]) -> Iterator[tuple[bytes, AuditRow]]:
    return takewhile(lambda each: each[1].at_us >= at_us, found)


def _agent_key(agent: str) -> bytes:
    return blake3(agent.encode()).digest(length=16)


def _size_bytes(row: AuditRow) -> int:
    """Return about what a row takes, its index included."""
    parameters = sum(len(name) + sum(map(len, values)) for name, values in row.parameters)
    return 300 + parameters + len(row.contributing) * (150 if row.indexed and not row.first else 50)


def _open(folder: Path, map_bytes: int) -> lmdb.Environment:
    """Open the environment; what is damaged is put aside, once, and a new one begun."""
    try:
        return _checked(folder, map_bytes)
    except (lmdb.Error, Corrupt):
        aside = folder.with_name(ASIDE_NAME)
        rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        return _checked(folder, map_bytes)


def _checked(folder: Path, map_bytes: int) -> lmdb.Environment:
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / DATA_NAME
    if data.exists() and data.stat().st_size <= limits.VIEW_START_CHECK_BYTES_MAX:
        check_pages(folder)
    return lmdb.open(
        str(folder),
        lib_version=0,
        map_size=map_bytes,
        metasync=False,
        max_dbs=_TABLES_MAX,
        max_readers=limits.READERS_MAX,
        max_spare_txns=limits.READERS_MAX,
        mode=0o600,
    )
