"""Reading a log's files in order as they are, bytes and all, every frame and the chain checked.

The log in use is read so by the archive, the archive by whoever verifies or restores it. Nothing is trusted
but what was read before: a reader begins at record 1, or at a place where an earlier one stopped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from stemedb.errors import Corrupt
from stemedb.limits import LOG_READ_CHUNK_BYTES
from stemedb.log import Head, Record, chain_start, next_chain
from stemedb.log.folder import raise_missing, raise_newer, segment_name, segment_paths
from stemedb.log.frames import FRAME_BYTES_MAX, HEADER_BYTES, BadHeader, decode_frames, decode_header
from stemedb.log.segments import RESTORE


class Place(NamedTuple):
    """Where reading goes on: segment (by the place of its first byte), offset in it, last record read."""

    base: int
    offset: int
    head: Head

    @property
    def end(self) -> int:
        """The same as a place in the whole log, in bytes."""
        return self.base + self.offset


def beginning(log_id: bytes) -> Place:
    """Return the place before the header of the first segment."""
    return Place(0, 0, Head(0, chain_start(log_id), 0))


class Chunk(NamedTuple):
    """Whole frames as they stand at `offset` of a segment, or its header (then without records)."""

    base: int
    offset: int
    raw: bytes
    records: list[Record]


_NOT_YET: Final = ("", "short", "end")


class LogReader:
    """Reads one folder. `place` is behind what was given last."""

    def __init__(self, folder: Path, log_id: bytes, place: Place | None = None) -> None:
        """Begin at `place`, else at the beginning."""
        self._folder = folder
        self._log_id = log_id
        self.place = place or beginning(log_id)
        self._fd = -1

    def chunks(self, upto_seq: int) -> Iterator[Chunk]:
        """Yield everything up to record `upto_seq`, which is known to be there.

        Raises:
            Corrupt: a segment is missing or not the right one, or a frame is not what was written.
            OSError: a file cannot be read.
        """
        while self.place.head.seq < upto_seq:
            yield self._header() if self.place.offset == 0 else self._frames(upto_seq)

    def close(self) -> None:
        """Let the file go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def _path(self) -> Path:
        return self._folder / segment_name(self.place.base)

    def _header(self) -> Chunk:
        """Read the header of the next segment, which must say what was read before it."""
        self.close()
        base, _, head = self.place
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._folder.stat()
            raise_missing(self._path, f"it begins with record {head.seq + 1}")
        raw = os.pread(self._fd, HEADER_BYTES, 0)
        try:
            found = decode_header(raw)
        except BadHeader as error:
            if error.newer:
                raise_newer(self._path, str(error))
            raise Corrupt(f"{self._path}: {error}", code="log_header", ways_out=(RESTORE,)) from None
        if found.log_id != self._log_id:
            detail = f"{self._path} belongs to log {found.log_id.hex()}, not to {self._log_id.hex()}"
            raise Corrupt(detail, code="log_segment_foreign", ways_out=(RESTORE,))
        if (found.offset, found.first_seq, found.chain, found.time) != (base, head.seq + 1, *head[1:]):
            detail = f"{self._path} follows another history than the records before it"
            raise Corrupt(detail, code="log_chain", ways_out=(RESTORE,))
        self.place = Place(base, HEADER_BYTES, head)
        return Chunk(base, 0, raw, [])

    def _frames(self, upto_seq: int) -> Chunk:
        """Read the next frames; where the segment has none more, go on to the header of the next."""
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        base, offset, head = self.place
        for wanted in (LOG_READ_CHUNK_BYTES, FRAME_BYTES_MAX):
            buffer = os.pread(self._fd, wanted, offset)
            frames, why = decode_frames(buffer, 0, head.seq + 1, upto_seq)
            if frames or why != "short" or len(buffer) < wanted:
                break
        if not frames:
            return self._next(why)
        chain, time = head.chain, head.time
        for frame in frames:
            record, chain = frame.record, next_chain(chain, frame.digest)
            if record.recorded_at <= time:
                detail = f"{self._path}: record {record.seq} was recorded no later than the one before it"
                raise Corrupt(detail, code="log_time", ways_out=(RESTORE,))
            time = record.recorded_at
        records = [frame.record for frame in frames]
        self.place = Place(base, offset + frames[-1].end, Head(records[-1].seq, chain, time))
        return Chunk(base, offset, buffer[: frames[-1].end], records)

    def _next(self, why: str) -> Chunk:
        base, offset, head = self.place
        following = self._folder / segment_name(base + offset)
        if why not in _NOT_YET:
            self._refuse(why)
        if not following.exists():
            self._folder.stat()
            self._refuse("the file ends" if why == "short" else "the log ends")
        self.place = Place(base + offset, 0, head)
        return self._header()

    def _refuse(self, why: str) -> NoReturn:
        _, offset, head = self.place
        detail = f"{self._path}, byte {offset}: {why} where record {head.seq + 1} belongs"
        raise Corrupt(detail, code="log_damaged", ways_out=(RESTORE,))


def segment_before(folder: Path, log_id: bytes, seq: int) -> Place:
    """Return the place of the header of the segment that holds record `seq`.

    Raises:
        Corrupt: a header is damaged, or there is no such segment.
    """
    found = beginning(log_id)
    for path in segment_paths(folder):
        with path.open("rb") as file:
            try:
                header = decode_header(file.read(HEADER_BYTES))
            except BadHeader as error:
                raise Corrupt(f"{path}: {error}", code="log_header", ways_out=(RESTORE,)) from None
        if header.first_seq > seq:
            break
        found = Place(header.offset, 0, Head(header.first_seq - 1, header.chain, header.time))
    return found
