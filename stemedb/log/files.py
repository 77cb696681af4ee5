"""Writing bytes and names so that they last: whole writes, zeroed files, folder syncs."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO, Final, Protocol

_ZEROS: Final = bytes(1024 * 1024)
FILE_MODE: Final = 0o600

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Errors by which nothing was written and which may heal by themselves."""

FAULT_POINTS: Final = (
    "create_segment",
    "create_meta",
    "after_reserve",
    "half_frame",
    "before_sync",
    "after_sync",
    "rotate_prepare",
    "rotate_header",
    "rotate_rename",
    "dir_sync",
    "rotate_done",
    "seal",
)
"""Every step at which a fault hook is called."""


class Faults(Protocol):
    """A hook that tests use to die, or to fail, at a named step of the write path."""

    def at(self, point: str) -> None:
        """Be told that the step was reached; may raise OSError or end the process."""


def write_all(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`, however many calls it takes.

    Raises:
        OSError: a write failed; some of the data may have been written.
    """
    done = os.pwrite(fd, data, offset)
    view = memoryview(data)
    while done < len(data):
        done += os.pwrite(fd, view[done:], offset + done)


def read_used(file: BinaryIO, offset: int) -> tuple[bytes, int]:
    """Read from `offset` on without the zeros at the file's end; give also how many these are.

    Most of a log's last segment is zeros: they are neither kept nor searched byte by byte.
    """
    file.seek(offset)
    pieces: list[bytes] = []
    zeros = 0
    while piece := file.read(len(_ZEROS)):
        if piece == _ZEROS[: len(piece)]:
            zeros += len(piece)
            continue
        used = piece.rstrip(b"\0")
        pieces += (bytes(zeros), used)
        zeros = len(piece) - len(used)
    return b"".join(pieces), zeros


def make_zeroed(path: Path, size: int) -> int:
    """Make a file of real zeros, synced, and give it open for reading and writing.

    Zeros and not `fallocate`: a write into an unwritten extent changes metadata, so that its fdatasync has to
    wait for a journal commit (measured on ext4: p50 of 28 KiB batches 0.24 ms against 0.13 ms).

    Raises:
        OSError: no room, or no right; no file is left behind.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        for offset in range(0, size, len(_ZEROS)):
            write_all(fd, _ZEROS[: size - offset], offset)
        os.fsync(fd)
    except OSError:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return fd


def sync_folder(folder: Path) -> None:
    """Make the folder's names durable.

    Raises:
        OSError: the sync failed.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_file(path: Path, data: bytes) -> None:
    """Put a whole file in place, synced, name included.

    Raises:
        OSError: it could not be written.
    """
    temporary = path.with_name(path.name + ".tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        write_all(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_folder(path.parent)
