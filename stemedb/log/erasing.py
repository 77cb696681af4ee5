"""Overwriting the bodies of records in place, and finishing an overwriting that a stop cut short.

A frame keeps its place, its length and the hash of what it held; its body becomes zeros, its CRC is made
again. The disk may keep any part of that when the power goes. Nothing is noted before it is done: a record
that stands later in the log says what was to be erased, and `Erases` reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from stemedb.log.files import write_all
from stemedb.log.frames import (
    ALIGNMENT,
    FRAME_BYTES_MIN,
    find_frames,
    frame_bytes,
    frame_record,
    half_redacted,
    redact,
)
from stemedb.log.segments import Segments, Stop, Walk, raise_damaged

Erases = Callable[[int, bytes], Sequence[int]]
"""Gives the seqs that a record (its type, its body) says are erased; empty for any other record."""

Reached = Callable[[str], None]

FAULT_POINTS: Final = ("erase_half", "erase_sync", "erase_done")
"""Steps at which a fault hook is called while bodies are overwritten."""

_SECTOR_BYTES: Final = 512  # what a disk writes wholly or not at all


def erase_bodies(segments: Segments, seqs: Sequence[int], reached: Reached) -> None:
    """Overwrite the bodies of durable records, synced when it returns; one that is already is left alone.

    To be called with `segments.changing` held.

    Raises:
        Corrupt: a frame on the way is not what was written.
        OSError: a write or sync failed; a frame may be half overwritten.
    """
    for at, group in groupby(sorted(set(seqs)), segments.find):
        path = segments.items[at].path
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            for seq in group:
                stop = _place(segments, at, seq)
                if not _overwrite(fd, stop, reached):
                    raise_damaged(path, stop._replace(why="another frame"), seq)
            reached("erase_sync")
            # Also where nothing was written: a process that died may have left it to the system's memory.
            os.fdatasync(fd)
        finally:
            os.close(fd)
        reached("erase_done")


def mend(segments: Segments, at: int, stop: Stop, erases: Erases) -> bool:
    """Finish the overwriting of the frame at `stop`, if that is what is wrong with it; say whether it is.

    It is if the frame has zeros where its body was and a later record says that it was erased. To be called
    with `segments.changing` held.

    Raises:
        OSError: a write or sync failed.
    """
    path = segments.items[at].path
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if not _looks_torn(fd, stop) or not _erased_later(segments, at, stop, erases):
            return False
        _overwrite(fd, stop, lambda _point: None)
        os.fdatasync(fd)
    finally:
        os.close(fd)
    return True


def _place(segments: Segments, at: int, seq: int) -> Stop:
    """Find where the frame of `seq` begins; it need not be whole, all before it must be."""
    while True:
        walk = segments.walk(at, seq, seq - 1)
        for _ in walk:
            pass
        if walk.stop.seq == seq:
            return walk.stop
        if not segments.mends(at, walk.stop):
            raise_damaged(segments.items[at].path, walk.stop, seq)


def _overwrite(fd: int, stop: Stop, reached: Reached) -> bool:
    """Overwrite the body of the frame at `stop`; False if another frame, or none, begins there."""
    frame = _read(fd, stop)
    if frame is None:
        return False
    changed = redact(frame)
    if changed != frame:
        half = len(changed) // 2
        write_all(fd, changed[:half], stop.offset)
        reached("erase_half")
        write_all(fd, changed[half:], stop.offset + half)
    return True


def _read(fd: int, stop: Stop) -> bytes | None:
    """Read the frame that begins at `stop`, by its length alone: its CRC may be that of another state."""
    size = frame_bytes(os.pread(fd, FRAME_BYTES_MIN, stop.offset), stop.seq)
    if size is None:
        return None
    frame = os.pread(fd, size, stop.offset)
    return frame if len(frame) == size else None


def _looks_torn(fd: int, stop: Stop) -> bool:
    """Say whether the frame may be half overwritten; other damage is not searched for a cause."""
    frame = _read(fd, stop)
    if frame is None:
        return False
    head_end = stop.offset + FRAME_BYTES_MIN
    first_end = FRAME_BYTES_MIN + -head_end % _SECTOR_BYTES
    return half_redacted(frame, range(first_end, len(frame), _SECTOR_BYTES))


def _erased_later(segments: Segments, at: int, stop: Stop, erases: Erases) -> bool:
    """Look for a record after `stop` that says that the record there is erased."""
    if _erased_in_rest(segments.items[at].path, stop, erases):
        return True
    for segment in segments.items[at + 1 :]:
        for frames in Walk(segment, *segment.near(segment.header.first_seq)):
            if any(stop.seq in erases(frame.record.type, frame.record.body) for frame in frames):
                return True
    return False


def _erased_in_rest(path: Path, stop: Stop, erases: Erases) -> bool:
    """Look through the rest of one segment, in which more frames may be half overwritten."""
    with path.open("rb") as file:
        file.seek(stop.offset + ALIGNMENT)
        rest = memoryview(file.read())
    for offset, _, _ in find_frames(rest, 0, stop.seq + 1):
        record = frame_record(rest, offset)
        if not record.redacted and stop.seq in erases(record.type, record.body):
            return True
    return False
