"""Checking a whole log: every checksum, every hash, and the chain from the first record to the last.

Goes on after damage where the next segment begins, so that a report names all of it. Can go on where an
earlier run stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from stemedb.errors import Invalid
from stemedb.limits import VERIFY_LOOK_S, VERIFY_LOOKS
from stemedb.log.folder import open_segments, read_meta
from stemedb.log.frames import HEADER_BYTES, Frame, chain_start, next_chain
from stemedb.log.recovery import judge_end
from stemedb.log.segments import Segment, Segments, Stop, Walk


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place up to which a log was found whole; JSON-able, kept by the caller to go on from there."""

    log_id: str
    seq: int
    chain: str
    time: int
    segment: str
    offset: int


class Problem(msgspec.Struct, frozen=True):
    """One thing found wrong: a stable code, where, and which records it takes away."""

    code: str
    file: str
    offset: int
    first_seq: int
    last_seq: int
    detail: str


class Report(msgspec.Struct, frozen=True):
    """What a run found. `seq`, `chain` (hex) and `time` are the head's, true only without problems.

    `torn_bytes` is a last batch that was never acknowledged: no problem, the next start cuts it.
    """

    log_id: str
    records: int
    redacted: int
    bytes: int
    seq: int
    chain: str
    time: int
    torn_bytes: int
    problems: list[Problem]
    checkpoint: Checkpoint | None

    @property
    def whole(self) -> bool:
        """Say whether nothing was found wrong."""
        return not self.problems


Progress = Callable[[Checkpoint, int, int], None]
"""Told now and then how far it is: a checkpoint, the bytes checked, the bytes there are."""


def verify(folder: Path, *, since: Checkpoint | None = None, progress: Progress | None = None) -> Report:
    """Check the log in `folder`, from its beginning or from where an earlier run stopped.

    Raises:
        Invalid: the checkpoint is not one of this log.
        Corrupt: the folder itself is not in order (a segment missing, foreign, or without its header).
    """
    run = _Run(open_segments(folder, read_meta(folder)), progress)
    at = run.begin(since)
    for place in range(at, len(run.segments.items)):
        run.segment(place)
    return run.report()


class _Run:
    """One verification: what was seen so far."""

    def __init__(self, segments: Segments, progress: Progress | None) -> None:
        self.segments = segments
        self._progress = progress
        self._seq, self._chain, self._time = 0, chain_start(segments.log_id), 0
        self._offset = HEADER_BYTES
        self._records = self._redacted = self._bytes = self._torn = 0
        self._problems: list[Problem] = []
        self._checkpoint: Checkpoint | None = None
        self._total = sum(segment.path.stat().st_size for segment in segments.items)

    def begin(self, since: Checkpoint | None) -> int:
        """Go to the checkpoint; give the place of its segment."""
        if since is None:
            return 0
        if since.log_id != self.segments.log_id.hex():
            raise Invalid("the checkpoint is not one of this log; verify from the beginning")
        names = [segment.path.name for segment in self.segments.items]
        if since.segment not in names:
            last = self.segments.items[-1]
            stop = Stop(0, last.header.first_seq, f"the log does not reach {since.segment}, as it once did")
            self._problem("log_behind", last, stop, since.seq)
            return 0
        at = names.index(since.segment)
        self._total -= sum(segment.path.stat().st_size for segment in self.segments.items[:at])
        self._resume(self.segments.items[at], since)
        return at

    def _resume(self, segment: Segment, since: Checkpoint) -> None:
        """Go on from the checkpoint, if this segment still is up to there what the earlier run found."""
        header = segment.header
        chain = header.chain
        walk = Walk(segment, header.first_seq, HEADER_BYTES, last_seq=since.seq)
        for frames in walk:
            for frame in frames:
                chain = next_chain(chain, frame.digest)
        if (walk.stop.seq, walk.stop.offset, chain.hex()) == (since.seq + 1, since.offset, since.chain):
            self._seq, self._chain, self._time, self._offset = since.seq, chain, since.time, since.offset
            self._checkpoint = since
            self._total -= since.offset
            return
        # Set back or exchanged since then; what is there now is checked from the segment's beginning.
        detail = f"up to record {since.seq} this is not what the earlier run found"
        code = "log_behind" if walk.stop.seq <= since.seq else "log_chain"
        self._problem(code, segment, walk.stop._replace(why=detail), since.seq)
        self._seq, self._chain, self._time = header.first_seq - 1, header.chain, header.time

    def segment(self, at: int) -> None:
        """Check one segment and how it follows from the one before."""
        segment = self.segments.items[at]
        if self._offset == HEADER_BYTES:
            self._check_header(segment)
        sealed_bytes = self.segments.used_bytes(at)
        while True:
            walk = Walk(segment, self._seq + 1, self._offset, limit=sealed_bytes)
            for frames in walk:
                self._take(segment, frames, walk.stop.offset)
            ended = (
                self._end_last(segment, walk.stop)
                if sealed_bytes is None
                else self._end_sealed(at, walk.stop, sealed_bytes)
            )
            if ended:
                return

    def _check_header(self, segment: Segment) -> None:
        """Compare what the header says of all before it with what was found; then go by the header."""
        header = segment.header
        found = (self._seq + 1, self._chain, self._time)
        if found != (header.first_seq, header.chain, header.time):
            detail = (
                f"begins with record {header.first_seq} and another chain value than the records before give"
            )
            self._problem("log_chain", segment, Stop(0, header.first_seq, detail), header.first_seq)
            self._seq, self._chain, self._time = header.first_seq - 1, header.chain, header.time

    def _take(self, segment: Segment, frames: list[Frame], offset: int) -> None:
        """Follow the chain through some frames that end at `offset`."""
        for frame in frames:
            record = frame.record
            self._chain = next_chain(self._chain, frame.digest)
            if record.recorded_at <= self._time:
                stop = Stop(self._offset, record.seq, "recorded no later than the record before it")
                self._problem("log_time", segment, stop, record.seq)
            self._time = record.recorded_at
            self._redacted += record.redacted
        self._seq = frames[-1].record.seq
        self._records += len(frames)
        self._bytes += frames[-1].end
        self._offset = offset
        if not self._problems:
            log_id = self.segments.log_id.hex()
            name = segment.path.name
            self._checkpoint = Checkpoint(log_id, self._seq, self._chain.hex(), self._time, name, offset)
            if self._progress is not None:
                self._progress(self._checkpoint, self._bytes, self._total)

    def _end_sealed(self, at: int, stop: Stop, used_bytes: int) -> bool:
        """A sealed segment must end where the next one says; then go on there. False to look again."""
        segment, header = self.segments.items[at], self.segments.items[at + 1].header
        if stop.seq != header.first_seq or stop.offset != used_bytes:
            if stop.seq < header.first_seq and _becomes_whole(segment, stop):
                return False
            why = "ends too early" if stop.why == "end" else stop.why
            last_seq = header.first_seq - 1
            self._problem("log_damaged", segment, stop._replace(why=why), last_seq)
            self._seq, self._chain, self._time = last_seq, header.chain, header.time
        self._offset = HEADER_BYTES
        return True

    def _end_last(self, segment: Segment, stop: Stop) -> bool:
        """Tell the log's end from damage; False to look again."""
        end = judge_end(segment, stop)
        if end is None:
            return False
        if end.damaged:
            if _becomes_whole(segment, stop):
                return False
            self._problem("log_damaged", segment, stop, end.last_seq)
        else:
            self._torn = end.used_bytes
        return True

    def _problem(self, code: str, segment: Segment, stop: Stop, last_seq: int) -> None:
        self._problems.append(Problem(code, segment.path.name, stop.offset, stop.seq, last_seq, stop.why))

    def report(self) -> Report:
        """Sum up."""
        return Report(
            log_id=self.segments.log_id.hex(),
            records=self._records,
            redacted=self._redacted,
            bytes=self._bytes,
            seq=self._seq,
            chain=self._chain.hex(),
            time=self._time,
            torn_bytes=self._torn,
            problems=self._problems,
            checkpoint=self._checkpoint,
        )


def _becomes_whole(segment: Segment, stop: Stop) -> bool:
    """Say whether the frame at `stop` is whole after all.

    Beside a server its body may be half overwritten just now, for as long as the writing thread has to wait.
    """
    for _ in range(VERIFY_LOOKS):
        if any(Walk(segment, stop.seq, stop.offset, last_seq=stop.seq)):
            return True
        time.sleep(VERIFY_LOOK_S)
    return False
