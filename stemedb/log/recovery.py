"""Finding the end of the log after a stop of any kind, and making it good to append to.

The rule, at the first frame that is not whole, where record s belongs: if nothing shows that s was ever
synced, the last batch was torn by the stop and nothing in it was acknowledged, so it is cut. If a whole
frame of a later batch follows (batch n+1 is written only after the sync of batch n returned), or somebody
else holds s already, then s was synced and this is damage: refused, never repaired silently.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

from stemedb.errors import Corrupt
from stemedb.log.files import read_used, write_all
from stemedb.log.frames import ALIGNMENT, FRAME_BYTES_MAX, HEADER_BYTES, find_frames, next_chain
from stemedb.log.protocol import Head
from stemedb.log.segments import RESTORE, Segment, Segments, Stop, Walk, raise_damaged

Progress = Callable[[int, int], None]
"""Called now and then with the bytes checked so far and the bytes there are."""


class Tail(NamedTuple):
    """The end of a log: its head, where the next frame goes, and what follows there that is not whole.

    `batch_offset` is where the last batch of this segment begins. A clean end has no torn bytes.
    """

    head: Head
    offset: int
    batch_offset: int
    torn_bytes: int
    torn_frames: int
    why: str


class Recovery(NamedTuple):
    """What opening a log found and did: records checked, and what was cut (0 where nothing was torn).

    `end_offset` is where the log ends in its last file, in bytes.
    """

    checked_records: int
    end_offset: int
    cut_bytes: int
    cut_frames: int
    cut_at_seq: int
    why: str
    removed: tuple[str, ...]


class End(NamedTuple):
    """What stands after the last whole frame: bytes until only zeros follow, whole frames among them.

    `damaged` if a later batch is among them, so that the frame that is missing had been synced.
    """

    used_bytes: int
    frames: int
    last_seq: int
    damaged: bool


class _Scan:
    """Follows chain, time and batch through the frames of the last segment."""

    def __init__(self, segment: Segment) -> None:
        header = segment.header
        self.segment = segment
        self.head = Head(header.first_seq - 1, header.chain, header.time)
        self.stop = Stop(HEADER_BYTES, header.first_seq, "")
        self.batch_offset = HEADER_BYTES
        self._batch = 0

    def run(self, progress: Progress | None) -> None:
        """Take every whole frame from where the last run stopped."""
        walk = Walk(self.segment, self.stop.seq, self.stop.offset)
        size = self.segment.path.stat().st_size
        for frames in walk:
            begin = base = walk.stop.offset - frames[-1].end
            chain = self.head.chain
            for frame in frames:
                chain = next_chain(chain, frame.digest)
                if frame.batch != self._batch:
                    self._batch, self.batch_offset = frame.batch, begin
                begin = base + frame.end
            last = frames[-1].record
            self.head = Head(last.seq, chain, last.recorded_at)
            if progress is not None:
                progress(walk.stop.offset, size)
        self.stop = walk.stop


def survey(segments: Segments, known_seq: int, progress: Progress | None = None) -> Tail:
    """Find the log's end, reading the last segment only; may run beside a writer.

    Changes nothing, unless `segments` mends frames that were half overwritten. `known_seq` is the highest
    seq that a view, a snapshot or an archive holds.

    Raises:
        Corrupt: records that had been synced are damaged or gone.
    """
    scan = _Scan(segments.items[-1])
    while True:
        scan.run(progress)
        end = judge_end(scan.segment, scan.stop)
        if end is not None and not (end.damaged and segments.mends(len(segments.items) - 1, scan.stop)):
            break
    seq = scan.stop.seq
    if end.damaged or (end.used_bytes and seq <= known_seq):
        raise_damaged(scan.segment.path, scan.stop, max(known_seq, end.last_seq))
    if scan.head.seq < known_seq:
        raise_behind(segments.folder, scan.head.seq, known_seq)
    why = "zeros where a frame belongs" if scan.stop.why == "end" else scan.stop.why
    return Tail(
        scan.head,
        scan.stop.offset,
        scan.batch_offset,
        end.used_bytes,
        end.frames,
        why if end.used_bytes else "",
    )


def judge_end(segment: Segment, stop: Stop) -> End | None:
    """Look at what stands in the last segment where no whole frame was found.

    None means look again: the frame is whole now, a writer having finished it meanwhile.
    """
    with segment.path.open("rb") as file:
        used, zeros = read_used(file, stop.offset)
    if not used:
        return End(0, 0, 0, damaged=False)
    # A frame may itself end in zeros, hence not just the used bytes.
    found = find_frames(memoryview(used + bytes(min(zeros, FRAME_BYTES_MAX))), ALIGNMENT, stop.seq)
    # Only after all behind it was read: beside a writer the frame may have been half there a moment ago.
    if any(Walk(segment, stop.seq, stop.offset, last_seq=stop.seq)):
        return None
    last_seq = max((seq for _, seq, _ in found), default=0)
    return End(len(used), len(found), last_seq, damaged=any(batch > stop.seq for _, _, batch in found))


def settle(segments: Segments, tail: Tail) -> None:
    """Make the end durable and clean: what was read is on the disk, and zeros follow.

    Raises:
        OSError: a write or sync failed; nothing may be appended then.
    """
    fd = os.open(segments.items[-1].path, os.O_RDWR | os.O_CLOEXEC)
    try:
        # The last batch may have been read from memory only: its sync may never have run, or have failed,
        # after which the kernel calls the pages clean. Written again, they are synced for certain.
        last_batch = os.pread(fd, tail.offset - tail.batch_offset, tail.batch_offset)
        write_all(fd, last_batch + bytes(tail.torn_bytes), tail.batch_offset)
        os.fdatasync(fd)
    finally:
        os.close(fd)


def raise_behind(folder: Path, head_seq: int, known_seq: int) -> NoReturn:
    """Refuse a log that ends before what others have of it."""
    raise Corrupt(
        f"{folder}: the log ends with record {head_seq}, but record {known_seq} was folded or archived",
        code="log_behind",
        ways_out=(
            RESTORE,
            "or, if these records are lost for good, delete the view: it is made again from the log",
            "after a restore to an earlier moment: move the archive away, which goes on beyond it",
        ),
    )
