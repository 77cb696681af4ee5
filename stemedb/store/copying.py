"""Reading a view from another process than its own: copying it whole, and its digest, as of one moment.

LMDB lets another process read beside the writer: its read transaction stands in the view's table of readers
and pins the pages of its moment, so that the file grows by what is written meanwhile. So whoever reads long
is asked, between pieces, whether to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import lmdb

from stemedb.errors import Corrupt, NotFound, Unavailable
from stemedb.store import keys
from stemedb.store.chores import Chores
from stemedb.store.environment import LOCK_NAME, Environment, copy_rows, open_reading, unreadable
from stemedb.store.pages import DATA_NAME
from stemedb.store.rows import ViewState
from stemedb.store.tables import Tables, state_digest

_OPEN_TRIES = 10

GoOn = Callable[[int], None]
"""Told the bytes by which the view has grown since the reading began; raises to give it up."""


class _Moment(NamedTuple):
    env: lmdb.Environment
    tables: Tables
    chores: Chores
    txn: lmdb.Transaction
    state: ViewState


def copy_view(folder: Path, target: Path, go_on: GoOn) -> ViewState:
    """Copy the view in `folder`, row by row and as of now, into a new file in `target`, synced.

    Without what LMDB keeps of rows that are gone. Raises `NotFound` where there is no view, `Corrupt` where
    it is not what was written, and what `go_on` raises.
    """
    with _moment(folder) as moment:
        began_bytes = used_bytes(moment.env)
        copy = Environment(target, moment.env.info()["map_size"], sync=False)
        try:
            copy_rows(
                moment.txn,
                (*moment.tables, moment.chores.table),
                copy,
                lambda: go_on(used_bytes(moment.env) - began_bytes),
            )
            with copy.lmdb.begin(write=True) as txn:
                copy.chores.compacted(txn)
            copy.lmdb.sync(True)  # noqa: FBT003 - force
        finally:
            copy.lmdb.close()
        with suppress(FileNotFoundError):
            (target / LOCK_NAME).unlink()
        return moment.state


def digest_of(folder: Path, *, live: bool) -> tuple[ViewState, str]:
    """Return where the view in `folder` stands now and its `state_digest`; raises as `copy_view` does.

    One that is not `live`, such as a snapshot's, is read without a lock file: from a read-only disk, too.
    """
    with _moment(folder, live=live) as moment:
        return moment.state, state_digest(moment.txn, moment.tables)


def view_bytes(folder: Path) -> int:
    """Return about how many bytes a copy of the view takes at most; raises as `copy_view` does."""
    with _moment(folder) as moment:
        return used_bytes(moment.env)


def used_bytes(env: lmdb.Environment) -> int:
    """Return what a view's file uses, free pages included."""
    size: int = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    return size


@contextmanager
def _moment(folder: Path, *, live: bool = True) -> Iterator[_Moment]:
    """Open the view for reading and begin a transaction."""
    env = _open(folder) if live else open_reading(folder, lock=False)
    try:
        tables, chores = Tables(env), Chores(env)
        with env.begin(buffers=True) as txn:
            state = tables.meta.get(txn, keys.STATE)
            if state is None:
                raise _empty(folder)
            yield _Moment(env, tables, chores, txn, state)
    except lmdb.Error as error:
        raise unreadable(folder, error) from error
    finally:
        env.close()


def _open(folder: Path) -> lmdb.Environment:
    """Open data and lock file of one and the same view: the service may be putting a new one in place."""
    for _ in range(_OPEN_TRIES):
        before = _files(folder)
        env = open_reading(folder, lock=True)
        if _files(folder) == before:
            return env
        env.close()
    raise Unavailable(f"the view in {folder} is being replaced", retry_after_s=1)


def _files(folder: Path) -> tuple[int, int | None]:
    try:
        data = (folder / DATA_NAME).stat().st_ino
    except FileNotFoundError:
        raise NotFound(
            f"{folder} holds no view (no {DATA_NAME})", hint="Name the folder of STEMEDB_DB_DIR."
        ) from None
    lock = folder / LOCK_NAME
    return data, lock.stat().st_ino if lock.exists() else None


def _empty(folder: Path) -> Corrupt:
    ways_out = ("start the service: it makes the view from the log",)
    return Corrupt(f"the view in {folder} is empty", code="corrupt_view", ways_out=ways_out)
