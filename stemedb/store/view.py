"""The view as a whole: opened, folded into, read, digested, and moved to a new file after an erasure."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import lmdb

from stemedb import limits
from stemedb.errors import Corrupt, Unavailable
from stemedb.model.records import RecordType
from stemedb.store import keys
from stemedb.store.environment import (
    COPY_NAME,
    Environment,
    MapUsage,
    put_in_place,
    remove_copy,
    unreadable,
)
from stemedb.store.fold import fold_record
from stemedb.store.fold_tables import FoldTables
from stemedb.store.record import FoldRecord, ReadClaim
from stemedb.store.rows import ViewState
from stemedb.store.snapshot import Snapshot
from stemedb.store.tables import state_digest

_ERASURE = int(RecordType.ERASURE)
_NOTHING_READ: Mapping[int, ReadClaim] = {}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class View:
    """The folded state of a log. One process holds it; many threads read while one folds."""

    def __init__(self, folder: Path, *, map_bytes: int = limits.MAP_BYTES_DEFAULT, sync: bool = True) -> None:
        """Open the view in `folder`, an empty one where there is none; raises `Corrupt`.

        Without `sync` nothing of it need be there after a power cut.
        """
        folder.mkdir(parents=True, exist_ok=True)
        remove_copy(folder)
        self._folder = folder
        self._env = Environment(folder, map_bytes, sync=sync)
        self._state = self._read_state()
        self._folded = threading.Condition()
        self._fold_lock = threading.Lock()
        self._compact_lock = threading.Lock()
        self._env_lock = threading.Lock()

    def _read_state(self) -> ViewState | None:
        try:
            with self._env.lmdb.begin(buffers=True) as txn:
                return self._env.tables.meta.get(txn, keys.STATE)
        except lmdb.Error as error:
            self._env.lmdb.close()
            raise unreadable(self._folder, error) from error
        except Corrupt:
            self._env.lmdb.close()
            raise

    @property
    def state(self) -> ViewState | None:
        """Where the fold stands; None before the first record."""
        return self._state

    @property
    def applied_seq(self) -> int:
        """The last record folded; 0 before the first."""
        return self._state.applied_seq if self._state else 0

    @property
    def claims_count(self) -> int:
        """How many claims the view holds."""
        return self._state.claims_count if self._state else 0

    def map_usage(self) -> MapUsage:
        """Return how much of the map is in use."""
        with self._reading() as (env, _):
            return env.map_usage()

    def escalations_count(self) -> int:
        """Return how many questions a crowd has answered with nobody above it."""
        with self._reading() as (env, txn):
            return env.tables.escalations.count(txn)

    def waiting_count(self) -> int:
        """Return how many claims wait in quarantine."""
        with self.snapshot() as snapshot:
            return snapshot.waiting_count()

    def fold(
        self, log_id: bytes, records: Sequence[FoldRecord], read: Mapping[int, ReadClaim] = _NOTHING_READ
    ) -> None:
        """Apply `records`, which have no gap and leave none behind `applied_seq`, in one transaction.

        `read` has by seq what `read_claim` gives for some of them, from a caller who wrote them just now.

        Raises:
            Unavailable: there was no room; the view is as it was.
            Corrupt: the view is not what was written.
        """
        with self._fold_lock:
            # A compaction may have folded some of them while the caller waited for it.
            fresh = [record for record in records if record.seq > self.applied_seq]
            if fresh:
                self._fold(log_id, fresh, read)

    def _fold(self, log_id: bytes, records: Sequence[FoldRecord], read: Mapping[int, ReadClaim]) -> None:
        try:
            state = self._apply(log_id, records, read)
        except lmdb.Error as error:
            if isinstance(error, (lmdb.CorruptedError, lmdb.PageNotFoundError)):
                raise unreadable(self._folder, error) from error
            if not self._lacks_room(error):
                raise
            raise Unavailable(
                f"no room for the view: {error}; what was sent is in the log and will become visible",
                code="no_space",
                hint="Free space on this disk, then send it again: nothing is stored twice.",
                retry_after_s=limits.LOG_NO_SPACE_RETRY_S,
            ) from error
        with self._folded:
            self._state = state
            self._folded.notify_all()

    def _lacks_room(self, error: lmdb.Error) -> bool:
        """Say whether a failed transaction lacked room only: nothing of it counts, and it may work later."""
        text = str(error)
        if isinstance(error, lmdb.MapFullError) or any(text.endswith(os.strerror(each)) for each in _NO_ROOM):
            return True
        # LMDB calls a write that was cut short by a full disk an I/O error: the disk itself must tell.
        found = os.statvfs(self._folder)
        cut_short = text.endswith(os.strerror(errno.EIO))
        return cut_short and found.f_bavail * found.f_frsize < limits.VIEW_ROOM_BYTES_MIN

    def _apply(
        self, log_id: bytes, records: Sequence[FoldRecord], read: Mapping[int, ReadClaim]
    ) -> ViewState:
        added = 0
        tables, chores = self._env.tables, self._env.chores
        tables.marks.begin(records[-1].seq)
        with self._env.lmdb.begin(write=True) as txn:
            at_hand = FoldTables(tables, txn, read)
            tables.moments.append(txn, [(keys.u64(each.seq), each.recorded_at) for each in records])
            for record in records:
                if record.type == _ERASURE:
                    chores.note(txn, tables, record)
                added += fold_record(txn, at_hand, record)
            at_hand.finish(txn)
            last = records[-1]
            state = ViewState(log_id, last.seq, last.recorded_at, self.claims_count + added)
            tables.meta.put(txn, keys.STATE, state)
        return state

    def wait_for(self, seq: int, timeout_s: float) -> bool:
        """Wait until the view holds `seq`, at most `timeout_s`; say whether it does."""
        deadline = time.monotonic() + timeout_s
        with self._folded:
            return self._folded.wait_for(
                lambda: self.applied_seq >= seq, timeout=max(0.0, deadline - time.monotonic())
            )

    def unchanged(self, subject: str, seq: int) -> int | None:
        """Return a position at which answers about `subject` are what they were at `seq`, the newest known.

        None where something that they rest on may have changed since. Aliases do not count: what is asked
        about joined subjects rests on more than one.
        """
        newest = self.applied_seq  # before the mark is looked at: see `Marks`
        return max(newest, seq) if self._env.tables.marks.last(subject) <= seq else None

    def snapshot(self) -> Snapshot:
        """Return the present moment of the view, to be used in a `with`."""
        env = self._enter()
        try:
            return Snapshot(env.lmdb, env.tables, lambda: self._leave(env))
        except BaseException:
            self._leave(env)
            raise

    def _enter(self) -> Environment:
        with self._env_lock:
            self._env.enter()
            return self._env

    def _leave(self, env: Environment) -> None:
        with self._env_lock:
            env.leave()

    # -- what erasures leave to be done --

    def to_overwrite(self) -> Mapping[int, tuple[int, ...]]:
        """Return the seqs whose bodies may still be in this host's log, by the seq of their erasure."""
        with self._reading() as (env, txn):
            return env.chores.to_overwrite(txn)

    def overwritten(self, erasure_seqs: Collection[int]) -> None:
        """Note that the bodies these erasures are about are in this host's log no more."""
        # Not while a copy takes its place: the copy would not know.
        with self._fold_lock, self._env.lmdb.begin(write=True) as txn:
            self._env.chores.overwritten(txn, erasure_seqs)

    def compact_since(self) -> int | None:
        """Return when the first erasure was recorded (microseconds) whose bytes the file may hold."""
        with self._reading() as (env, txn):
            return env.chores.compact_since(txn)

    def compact(self, follow: Callable[[View], None], go_on: Callable[[], None] = lambda: None) -> None:
        """Write every row into a new file and go on in that, while reads and writes go on.

        The old file, with all that LMDB kept in it of rows that are gone, is removed; it is closed when its
        last reader has left. `follow` folds into the view it is given what was recorded meanwhile; it is
        called once beside the writing, and then once more while folding is held up. `go_on` is called
        between the pieces of the work and raises to give it up.

        Raises:
            Unavailable: there was no room, or the disk failed; the view is as it was.
        """
        with self._compact_lock:
            copy = self._empty_copy()
            try:
                self._fill(copy, go_on)
                follow(copy)
                with self._fold_lock:
                    follow(copy)
                    self._go_on_in(copy)
            except BaseException as error:
                copy.close()
                remove_copy(self._folder)
                if isinstance(error, (lmdb.Error, OSError)):
                    raise _not_moved(error) from error
                raise

    def rebuild(self, follow: Callable[[View], None]) -> None:
        """Fold a long log into an empty view: beside its place, synced once at the end, then put there.

        Whatever stops this, the next start finds an empty view and begins anew. `follow` folds the log into
        the view it is given. Only for a view that nobody reads yet.

        Raises:
            Unavailable: there was no room, or the disk failed; the view is as it was.
        """
        copy = self._empty_copy(sync=False)
        try:
            follow(copy)
            copy.flush()
            copy.close()
            self.close()
            put_in_place(self._folder)
        except (lmdb.Error, OSError) as error:
            raise _not_moved(error) from error
        self._env = Environment(self._folder, self._env.map_bytes)
        self._state = self._read_state()

    def _empty_copy(self, *, sync: bool = True) -> View:
        try:
            remove_copy(self._folder)
            return View(self._folder / COPY_NAME, map_bytes=self._env.map_bytes, sync=sync)
        except (OSError, Corrupt) as error:  # a file that was never there cannot be corrupt
            raise _not_moved(error) from error

    def _fill(self, copy: View, go_on: Callable[[], None]) -> None:
        env = self._enter()
        try:
            env.copy_into(copy._env, go_on)
        finally:
            self._leave(env)
        with copy._env.lmdb.begin(write=True) as txn:
            copy._env.chores.compacted(txn)
        copy._state = copy._read_state()

    def _go_on_in(self, copy: View) -> None:
        fresh = copy._env
        copy.flush()
        put_in_place(self._folder)
        # What the copy folded was marked in the copy only.
        marks = self._env.tables.marks
        marks.begin(copy.applied_seq)
        marks.everything()
        fresh.tables.marks = marks
        with self._folded:
            self._state = copy.state
            self._folded.notify_all()
        with self._env_lock:
            old, self._env = self._env, fresh
            old.retire()

    @contextmanager
    def _reading(self) -> Iterator[tuple[Environment, lmdb.Transaction]]:
        env = self._enter()
        try:
            with env.lmdb.begin(buffers=True) as txn:
                yield env, txn
        finally:
            self._leave(env)

    def digest(self) -> str:
        """Return `state_digest`: BLAKE3-256 (hex) over every table, key and value, in order.

        Two views that folded the same log have the same digest. It reads everything: seconds for millions
        of claims.
        """
        with self._reading() as (env, txn):
            return state_digest(txn, env.tables)

    def flush(self) -> None:
        """Put everything on stable storage, the last transaction too."""
        self._env.lmdb.sync(True)  # noqa: FBT003 - force

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        self._env.lmdb.close()


def _not_moved(error: Exception) -> Unavailable:
    return Unavailable(f"the view could not be moved to a new file: {error}", code="no_space")
