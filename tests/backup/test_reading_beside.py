"""Reading a view while another process lets it grow."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import lmdb

from stemedb.store.environment import open_reading

MAP_BYTES = 1 << 36
GROWTH_BYTES = 32 << 20  # more than the map that the binding would make by itself


def write(folder: Path, size: int) -> None:
    """Write so many bytes, as the service's process does."""
    with (
        lmdb.open(str(folder), lib_version=0, map_size=MAP_BYTES, max_dbs=1) as env,
        env.begin(write=True) as txn,
    ):
        txn.put(b"%d" % size, bytes(size))


def in_another_process(folder: Path, size: int) -> None:
    """Write from a process of its own: LMDB allows one opening a process."""
    child = multiprocessing.get_context("spawn").Process(target=write, args=(folder, size))
    child.start()
    child.join()
    assert child.exitcode == 0


def test_a_view_that_grows_between_opening_and_reading_is_read(tmp_path: Path) -> None:
    in_another_process(tmp_path, 1)
    with open_reading(tmp_path, lock=True) as env:
        in_another_process(tmp_path, GROWTH_BYTES)
        with env.begin() as txn:
            assert txn.get(b"%d" % GROWTH_BYTES) == bytes(GROWTH_BYTES)
