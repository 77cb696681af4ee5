"""LMDB environments of the view: opened, copied without what LMDB keeps of old rows, put in place of another.

LMDB never shrinks a file and cleans no page: what was deleted stays in free pages, and in the gaps of
pages that are in use, which its own compacting copy carries over. So rows are copied one by one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import lmdb

from stemedb import limits
from stemedb.errors import Corrupt
from stemedb.store.chores import Chores
from stemedb.store.pages import DATA_NAME
from stemedb.store.table import REBUILD, Table
from stemedb.store.tables import Tables

FORMAT_VERSION: Final = 1
LOCK_NAME: Final = "lock.mdb"
COPY_NAME: Final = "compact"
"""The folder, inside the view's, where a copy is made."""

_FORMAT_KEY: Final = b"view"
_TABLES_MAX: Final = 64


class MapUsage(NamedTuple):
    """Bytes of the map that are in use, or were and wait to be used again; bytes of the map."""

    used_bytes: int
    size_bytes: int


class Environment:
    """One LMDB file in use, with its tables. It counts its readers: the last one closes it once replaced.

    `enter`, `leave` and `retire` must not run at the same time: the view calls them under its lock.
    """

    def __init__(self, folder: Path, map_bytes: int, *, sync: bool = True) -> None:
        """Open the file in `folder`, an empty one where there is none; raises `Corrupt`.

        Without `sync` a power cut may leave nothing that can be read: for a file that is not in place yet.
        """
        self.map_bytes = map_bytes
        self.lmdb = _open(folder, map_bytes, sync=sync)
        try:
            _require_format(self.lmdb)
            self.tables = Tables(self.lmdb)
            self.chores = Chores(self.lmdb)
        except lmdb.Error as error:
            self.lmdb.close()
            raise unreadable(folder, error) from error
        except Corrupt:
            self.lmdb.close()
            raise
        self._readers = 0
        self._retired = False

    def map_usage(self) -> MapUsage:
        """Return how much of the map is in use."""
        info = self.lmdb.info()
        return MapUsage((info["last_pgno"] + 1) * self.lmdb.stat()["psize"], info["map_size"])

    def enter(self) -> None:
        """Count a reader."""
        self._readers += 1

    def leave(self) -> None:
        """Uncount a reader."""
        self._readers -= 1
        self._close_if_done()

    def retire(self) -> None:
        """Close it when the last reader has left."""
        self._retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and not self._readers:
            self.lmdb.close()

    def all_tables(self) -> tuple[Table[Any], ...]:
        """Return the tables of the state and that of this host's chores."""
        return (*self.tables, self.chores.table)

    def copy_into(self, other: Environment, go_on: Callable[[], None]) -> None:
        """Copy every row as of now, what is still to be done on this host included.

        `go_on` is called between pieces and raises to give it up.
        """
        with self.lmdb.begin(buffers=True) as source:
            copy_rows(source, self.all_tables(), other, go_on)


def copy_rows(
    source: lmdb.Transaction, tables: Sequence[Table[Any]], other: Environment, go_on: Callable[[], None]
) -> None:
    """Copy every row of `tables` into the empty ones of `other`; `go_on` as in `Environment.copy_into`."""
    for table, table_there in zip(tables, other.all_tables(), strict=True):
        rows = table.raw(source)
        # In pieces: within one, no other thread of the process runs.
        while piece := [(bytes(key), bytes(value)) for key, value in islice(rows, limits.COPY_ROWS_MAX)]:
            with other.lmdb.begin(write=True) as target:
                table_there.append_raw(target, piece)
            go_on()


def remove_copy(folder: Path) -> None:
    """Remove a copy that was not finished, or what is left of one that is in place."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder / COPY_NAME)


def put_in_place(folder: Path) -> None:
    """Let the file of the copy, which may be open, take the place of the view's own, durably.

    Whatever stops this, what stands there afterwards is one of the two, and whole.

    Raises:
        OSError: it could not be done; the view's own file still stands.
    """
    copy = folder / COPY_NAME
    # The lock file speaks of one data file only. Gone first: whoever looks in between makes one of its own.
    (folder / LOCK_NAME).unlink(missing_ok=True)
    (copy / DATA_NAME).rename(folder / DATA_NAME)
    with suppress(OSError):
        (copy / LOCK_NAME).rename(folder / LOCK_NAME)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    remove_copy(folder)


def unreadable(folder: Path, error: Exception) -> Corrupt:
    """Return the refusal of a view that LMDB cannot read."""
    return Corrupt(f"the view in {folder} cannot be read: {error}", code="corrupt_view", ways_out=(REBUILD,))


def _open(folder: Path, map_bytes: int, *, sync: bool) -> lmdb.Environment:
    try:
        return lmdb.open(
            str(folder),
            # Version 0 of the file format is the one whose behaviour has been known for ten years.
            lib_version=0,
            map_size=map_bytes,
            # A power cut may take the last transactions with it, never the integrity: the log has them.
            metasync=False,
            sync=sync,
            max_dbs=_TABLES_MAX,
            max_readers=limits.READERS_MAX,
            max_spare_txns=limits.READERS_MAX,
            mode=0o600,
        )
    except lmdb.Error as error:
        raise unreadable(folder, error) from error


def open_reading(folder: Path, *, lock: bool) -> lmdb.Environment:
    """Open the file in `folder` for reading, with `lock` beside a process that writes; raises `Corrupt`."""
    try:
        # A map of 0 bytes is one as large as the writer's: the binding's own default is outgrown meanwhile.
        return lmdb.open(
            str(folder), lib_version=0, map_size=0, readonly=True, lock=lock, max_dbs=_TABLES_MAX, mode=0o600
        )
    except lmdb.Error as error:
        raise unreadable(folder, error) from error


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
