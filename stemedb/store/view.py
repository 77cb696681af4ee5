"""The view as a whole: opened, folded into, read, digested."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import lmdb
from blake3 import blake3

from stemedb import limits
from stemedb.errors import Corrupt, Unavailable
from stemedb.store import keys
from stemedb.store.fold import FoldRecord, fold_record
from stemedb.store.rows import ViewState
from stemedb.store.snapshot import Snapshot
from stemedb.store.table import REBUILD, Table
from stemedb.store.tables import Tables

FORMAT_VERSION = 1
_FORMAT_KEY = b"view"
_TABLES_MAX = 32
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class View:
    """The folded state of a log. One process holds it; many threads read while one folds."""

    def __init__(self, folder: Path, *, map_bytes: int = limits.MAP_BYTES_DEFAULT) -> None:
        """Open the view in `folder`, an empty one where there is none; raises `Corrupt`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._env = _open_environment(folder, map_bytes)
        try:
            _require_format(self._env)
            self._tables = Tables(self._env)
            with self._env.begin(buffers=True) as txn:
                state = self._tables.meta.get(txn, keys.STATE)
        except lmdb.Error as error:
            self._env.close()
            raise _unreadable(folder, error) from error
        except Corrupt:
            self._env.close()
            raise
        self._folder = folder
        self._folded = threading.Condition()
        self._state = state

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

    def fold(self, log_id: bytes, records: Sequence[FoldRecord]) -> None:
        """Apply `records`, which follow `applied_seq` without a gap, in one transaction.

        Raises:
            Unavailable: there was no room; the view is as it was.
            Corrupt: the view is not what was written.
        """
        if not records:
            return
        try:
            state = self._apply(log_id, records)
        except lmdb.Error as error:
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

    def _apply(self, log_id: bytes, records: Sequence[FoldRecord]) -> ViewState:
        added = 0
        with self._env.begin(write=True) as txn:
            for record in records:
                added += fold_record(txn, self._tables, record)
            last = records[-1]
            state = ViewState(log_id, last.seq, last.recorded_at, self.claims_count + added)
            self._tables.meta.put(txn, keys.STATE, state)
        return state

    def wait_for(self, seq: int, timeout_s: float) -> bool:
        """Wait until the view holds `seq`, at most `timeout_s`; say whether it does."""
        deadline = time.monotonic() + timeout_s
        with self._folded:
            return self._folded.wait_for(
                lambda: self.applied_seq >= seq, timeout=max(0.0, deadline - time.monotonic())
            )

    def snapshot(self) -> Snapshot:
        """Return the present moment of the view, to be used in a `with`."""
        return Snapshot(self._env, self._tables)

    def digest(self) -> str:
        """Return `state_digest`: BLAKE3-256 (hex) over every table, key and value, in order.

        Two views that folded the same log have the same digest. It reads everything: seconds for millions
        of claims.
        """
        hasher = blake3()
        with self._env.begin(buffers=True) as txn:
            for table in self._tables:
                hasher.update(b"%s\n" % table.name.encode())
                for key, value in table.raw(txn):
                    hasher.update(len(key).to_bytes(4, "big") + len(value).to_bytes(4, "big"))
                    hasher.update(key)
                    hasher.update(value)
        return hasher.hexdigest()

    def map_use(self) -> tuple[int, int]:
        """Return the bytes used of the map, and its size in bytes."""
        info = self._env.info()
        page_bytes = self._env.stat()["psize"]
        return (info["last_pgno"] + 1) * page_bytes, info["map_size"]

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        self._env.close()


def _open_environment(folder: Path, map_bytes: int) -> lmdb.Environment:
    try:
        return lmdb.open(
            str(folder),
            # Version 0 of the file format is the one whose behaviour has been known for ten years.
            lib_version=0,
            map_size=map_bytes,
            # A power cut may take the last transactions with it, never the integrity: the log has them.
            metasync=False,
            max_dbs=_TABLES_MAX,
            max_readers=limits.READERS_MAX,
            max_spare_txns=limits.READERS_MAX,
            mode=0o600,
        )
    except lmdb.Error as error:
        raise _unreadable(folder, error) from error


def _require_format(env: lmdb.Environment) -> None:
    """Note the format in a new view; refuse one that another version wrote, before any table is opened."""
    formats = Table("format", int)
    formats.open(env)
    with env.begin(write=True) as txn:
        version = formats.get(txn, _FORMAT_KEY)
        if version is None:
            formats.put(txn, _FORMAT_KEY, FORMAT_VERSION)
        elif version != FORMAT_VERSION:
            detail = f"the view has format {version}, this program reads format {FORMAT_VERSION}"
            raise Corrupt(detail, code="view_format", ways_out=("run the release that wrote it", REBUILD))


def _unreadable(folder: Path, error: Exception) -> Corrupt:
    return Corrupt(f"the view in {folder} cannot be read: {error}", code="corrupt_view", ways_out=(REBUILD,))
