"""Checked reading from segment files.

Nothing here writes. A `Segments` may be read by many threads while one thread appends to the last file:
readers never go past the seq they are told is durable. Whoever overwrites a frame in place holds `changing`;
a reader that met such a frame halfway looks again.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple, NoReturn

from stemedb.errors import Corrupt
from stemedb.limits import LOG_INDEX_STEP_BYTES, LOG_READ_CHUNK_BYTES, LOG_READ_FIRST_BYTES
from stemedb.log.frames import FRAME_BYTES_MAX, HEADER_BYTES, Frame, Header, decode_frames, next_chain

SEQ_MAX: Final = 2**63 - 1
RESTORE: Final = "restore the log from a backup"


class Stop(NamedTuple):
    """Where a walk over a segment stopped, the seq it expected there, and why ("": as asked)."""

    offset: int
    seq: int
    why: str


class Segment:
    """One segment file: its header, and a sparse index of frames that were seen in it."""

    def __init__(self, path: Path, header: Header) -> None:
        """Index only the first frame's place; the rest is noted as it is seen."""
        self.path = path
        self.header = header
        self.followed = (header.first_seq - 1, header.chain)
        """The record up to which readers followed the chain, and its value there."""
        self._seqs = [header.first_seq]
        self._offsets = [HEADER_BYTES]
        self._lock = Lock()

    def note(self, seq: int, offset: int) -> None:
        """Remember where a frame begins, if far enough from the last one remembered."""
        if offset < self._offsets[-1] + LOG_INDEX_STEP_BYTES:
            return
        with self._lock:
            if offset >= self._offsets[-1] + LOG_INDEX_STEP_BYTES:
                # The offset first: a reader looks a seq up and then takes the offset of the same place.
                self._offsets.append(offset)
                self._seqs.append(seq)

    def near(self, seq: int) -> tuple[int, int]:
        """Give the last remembered frame at or before `seq`: its seq and its offset in the file."""
        at = bisect_right(self._seqs, seq) - 1
        return self._seqs[at], self._offsets[at]

    def follow(self, frames: list[Frame]) -> None:
        """Follow the chain through frames that come next in this segment; others are none of its business."""
        seq, chain = self.followed
        known = seq + 1 - frames[0].record.seq
        if 0 <= known < len(frames):
            for frame in frames[known:]:
                chain = next_chain(chain, frame.digest)
            self.followed = (frames[-1].record.seq, chain)


class Walk:
    """Reads a segment's frames in order from a place on; iterate for lists of frames, then look at `stop`.

    Ends at the first frame that is not whole; whether that is the log's end, a torn tail or damage is for
    the caller to say.
    """

    def __init__(
        self, segment: Segment, seq: int, offset: int, *, last_seq: int = SEQ_MAX, limit: int | None = None
    ) -> None:
        """Begin at frame `seq` at `offset`; `limit` is where the bytes end, if not with the file."""
        self.stop = Stop(offset, seq, "")
        self._segment = segment
        self._last_seq = last_seq
        self._limit = limit

    def __iter__(self) -> Iterator[list[Frame]]:
        """Yield the frames that each read of the file held."""
        fd = os.open(self._segment.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            limit = os.fstat(fd).st_size if self._limit is None else self._limit
            wanted = LOG_READ_FIRST_BYTES
            while self.stop.seq <= self._last_seq:
                buffer = os.pread(fd, min(wanted, limit - self.stop.offset), self.stop.offset)
                frames = self._decode(buffer)
                if frames:
                    yield frames
                if self.stop.why != "short":
                    return
                if frames:
                    wanted = LOG_READ_CHUNK_BYTES
                elif len(buffer) < wanted:
                    # No more bytes: the log may fill a file to its end, or the file was cut inside a frame.
                    self.stop = self.stop._replace(why="cut short" if buffer.strip(b"\0") else "end")
                    return
                else:
                    wanted = FRAME_BYTES_MAX
        finally:
            os.close(fd)

    def _decode(self, buffer: bytes) -> list[Frame]:
        """Decode what the buffer holds and move on past it."""
        offset, seq, _ = self.stop
        frames, why = decode_frames(buffer, 0, seq, self._last_seq)
        if frames:
            self._segment.note(seq, offset)
            offset += frames[-1].end
            seq += len(frames)
        self.stop = Stop(offset, seq, why)
        return frames


class Segments:
    """The segments of one folder, in order."""

    def __init__(self, folder: Path, log_id: bytes, items: list[Segment], interrupted: Path | None) -> None:
        """`interrupted` is a last file without a header and without content: a rotation that was cut off."""
        self.folder = folder
        self.log_id = log_id
        self.items = items
        self.interrupted = interrupted
        self.changing = Lock()
        """Held while frames are overwritten in place."""
        self.mend: Callable[[int, Stop], bool] | None = None
        """Makes a half overwritten frame in segment (place) whole; called with `changing` held."""

    def used_bytes(self, at: int) -> int | None:
        """Say where the bytes of a sealed segment end; None for the last one."""
        if at + 1 == len(self.items):
            return None
        return self.items[at + 1].header.offset - self.items[at].header.offset

    def last_seq(self, at: int, head_seq: int) -> int:
        """Give the last seq that segment `at` holds, the log's last being `head_seq`."""
        if at + 1 == len(self.items):
            return head_seq
        return self.items[at + 1].header.first_seq - 1

    def find(self, seq: int) -> int:
        """Give the place of the segment that holds `seq`."""
        return bisect_right(self.items, seq, key=lambda segment: segment.header.first_seq) - 1

    def walk(self, at: int, seq: int, upto_seq: int) -> Walk:
        """Walk segment `at` from the remembered frame nearest before `seq`, up to `upto_seq` or its end."""
        segment = self.items[at]
        near_seq, offset = segment.near(seq)
        last_seq = min(upto_seq, self.last_seq(at, upto_seq))
        return Walk(segment, near_seq, offset, last_seq=last_seq, limit=self.used_bytes(at))

    def frames(self, from_seq: int, last_seq: int, head_seq: int) -> Iterator[list[Frame]]:
        """Yield the frames `from_seq` to `last_seq`, all durable (`head_seq` is the last that is), checked.

        Of a segment that is read from its beginning to its end, in however many pieces, the chain is, too.

        Raises:
            Corrupt: a frame is not what was written.
        """
        at = self.find(from_seq)
        while from_seq <= last_seq:
            walk = self.walk(at, from_seq, last_seq)
            for frames in walk:
                self._follow(at, frames)
                skip = from_seq - frames[0].record.seq
                if skip < len(frames):
                    yield frames[skip:] if skip > 0 else frames
                    from_seq = frames[-1].record.seq + 1
            if not walk.stop.why and from_seq > self.last_seq(at, last_seq):
                at += 1
            elif not self._whole_after_all(at, walk.stop):
                raise_damaged(self.items[at].path, walk.stop, self.last_seq(at, head_seq))

    def _follow(self, at: int, frames: list[Frame]) -> None:
        """Follow the chain of a sealed segment; at its end it must be what the next segment begins with."""
        if at + 1 == len(self.items):
            return
        segment, header = self.items[at], self.items[at + 1].header
        segment.follow(frames)
        seq, chain = segment.followed
        if seq + 1 == header.first_seq and chain != header.chain:
            raise Corrupt(
                f"{segment.path}: its records give another chain value than {self.items[at + 1].path.name} "
                f"begins with: one of {segment.header.first_seq} to {seq} was exchanged",
                code="log_chain",
                ways_out=(RESTORE,),
            )

    def _whole_after_all(self, at: int, stop: Stop) -> bool:
        """Look again at a frame that was not whole: it may have been overwritten right then, or only half."""
        with self.changing:
            if any(Walk(self.items[at], stop.seq, stop.offset, last_seq=stop.seq)):
                return True
            return self.mends(at, stop)

    def mends(self, at: int, stop: Stop) -> bool:
        """Make the frame at `stop` whole if an overwriting was cut short there; say whether it is now."""
        return self.mend is not None and self.mend(at, stop)


def raise_damaged(path: Path, stop: Stop, last_seq: int) -> NoReturn:
    """Refuse a frame that had been synced and is no longer whole."""
    why = "the log ends" if stop.why == "end" else stop.why
    upto = f" to {last_seq}" if last_seq > stop.seq else " and later" if last_seq < stop.seq else ""
    cut = (
        f"`stemedb log repair --truncate-at {stop.seq}` saves what stands after record {stop.seq - 1} "
        f"to another folder and cuts it off: all records from {stop.seq} on are lost to the database"
    )
    raise Corrupt(
        f"{path}, byte {stop.offset}: {why} where record {stop.seq} had been synced (lost: {stop.seq}{upto})",
        code="log_damaged",
        ways_out=(RESTORE, cut),
    )
