"""Looking at a view without opening it for work: beside a running server, or at rest. Changes no row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import lmdb

from stemedb.errors import NotFound
from stemedb.store import keys
from stemedb.store.environment import open_reading, unreadable
from stemedb.store.pages import DATA_NAME, Checked, check_pages
from stemedb.store.rows import ViewState
from stemedb.store.table import Table


class ViewFacts(NamedTuple):
    """What can be said of a view from outside. `stale_readers` are slots that dead processes had left."""

    state: ViewState | None
    used_bytes: int
    readers: int
    stale_readers: int


def view_facts(folder: Path) -> ViewFacts:
    """Look at the view in `folder`; slots of dead readers are freed on the way.

    Raises:
        NotFound: there is no view.
        Corrupt: it cannot be read.
    """
    with _reading(folder) as env:
        stale = env.reader_check()
        slots = sum(1 for line in env.readers().splitlines()[1:] if line.strip())
        used_bytes = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        state = _state(env)
    return ViewFacts(state, used_bytes, slots, stale)


def check_view(folder: Path, *, live: bool) -> Checked:
    """Check every page and row of the view; `live` says that a server is writing to it meanwhile.

    Raises:
        NotFound: there is no view.
        Corrupt: a page or a row is not what was written.
    """
    if not (folder / DATA_NAME).is_file():
        raise _absent(folder)
    if not live:
        return check_pages(folder)
    # The reader pins every page of its transaction, so that the file may be read from outside LMDB.
    with _reading(folder) as env, env.begin() as txn:
        return check_pages(folder, txn_id=txn.id())


@contextmanager
def _reading(folder: Path) -> Iterator[lmdb.Environment]:
    if not (folder / DATA_NAME).is_file():
        raise _absent(folder)
    env = open_reading(folder, lock=True)
    try:
        yield env
    except lmdb.Error as error:
        raise unreadable(folder, error) from error
    finally:
        env.close()


def _state(env: lmdb.Environment) -> ViewState | None:
    meta = Table("meta", ViewState)
    # A read-only environment makes no table: one that is missing was never written.
    with suppress(lmdb.NotFoundError, lmdb.ReadonlyError):
        meta.open(env)
        with env.begin(buffers=True) as txn:
            return meta.get(txn, keys.STATE)
    return None


def _absent(folder: Path) -> NotFound:
    return NotFound(f"{folder} holds no view (no {DATA_NAME})", hint="Name the folder of STEMEDB_DB_DIR.")
