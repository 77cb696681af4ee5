"""Looking at the machine below the data: its disk's syncs, its clock, the files' owners and modes."""

from __future__ import annotations

import ctypes
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from stemedb import limits

_PROBE_NAME: Final = "doctor.probe"
_TIMEX_BYTES: Final = 256  # struct timex, with room
_CLOCK_UNSYNCED: Final = 5  # TIME_ERROR


class SyncTimes(NamedTuple):
    """How long a write and fdatasync took, in seconds."""

    p50_s: float
    p99_s: float
    max_s: float


def sync_times(folder: Path) -> SyncTimes:
    """Write and sync blocks in a file of zeros in `folder`, as the log does; raises `OSError`."""
    path = folder / _PROBE_NAME
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, bytes(limits.SYNC_PROBES * limits.SYNC_PROBE_BYTES), 0)
        os.fsync(fd)
        block = b"\xa5" * limits.SYNC_PROBE_BYTES
        taken = []
        for at in range(limits.SYNC_PROBES):
            begin = time.perf_counter()
            os.pwrite(fd, block, at * len(block))
            os.fdatasync(fd)
            taken.append(time.perf_counter() - begin)
    finally:
        os.close(fd)
        path.unlink()
    taken.sort()
    return SyncTimes(taken[len(taken) // 2], taken[len(taken) * 99 // 100], taken[-1])


def clock_synchronised() -> bool | None:
    """Say whether the kernel's clock is kept by a time service; None where the system does not tell."""
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _CLOCK_UNSYNCED


def strange_files(folder: Path) -> Iterator[str]:
    """Yield, in words, each file of `folder` that others may read, or that is not the folder owner's."""
    owner = folder.stat().st_uid
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        if found.st_uid != owner:
            yield f"{path} belongs to user {found.st_uid}, its folder to {owner}"
        elif stat.S_ISREG(found.st_mode) and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, wanted is 0600"
