"""The log in local files: one writer at a time, one write and one sync a batch, readers beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from threading import Lock
from time import perf_counter
from typing import Final, NamedTuple

from stemedb.errors import StorageFailed, Unavailable
from stemedb.limits import LOG_NO_SPACE_RETRY_S, LOG_READ_BYTES_MAX, LOG_READ_RECORDS_MAX
from stemedb.log.board import Board
from stemedb.log.checks import check_batch, check_erasable, check_from, check_page
from stemedb.log.erasing import erase_bodies
from stemedb.log.files import NO_SPACE, Faults, sync_folder, write_all
from stemedb.log.folder import segment_name
from stemedb.log.frames import HEADER_BYTES, Header, encode_batch, encode_header
from stemedb.log.lock import FolderLock
from stemedb.log.protocol import Clock, Draft, Head, Position, Record
from stemedb.log.recovery import Recovery, Tail
from stemedb.log.rotation import NextSegment
from stemedb.log.segments import Segment, Segments
from stemedb.log.synced import SyncedFile

OnBatch = Callable[[float, int, int], None]
"""Told after each batch: seconds its sync took, its records, its bytes."""

_PREPARE_AT: Final = 0.5  # of a segment used, when the next one is made ready


class Usage(NamedTuple):
    """What the log takes on the disk."""

    segments: int
    bytes: int


class Options(NamedTuple):
    """How a log works, as `open_log` was asked."""

    segment_bytes: int
    clock: Clock
    faults: Faults | None
    on_batch: OnBatch | None


class LocalLog:
    """Keeps `Log` in a folder. Made by `open_log`, which recovers it first."""

    def __init__(
        self,
        segments: Segments,
        tail: Tail,
        recovery: Recovery,
        lock: FolderLock,
        options: Options,
    ) -> None:
        """Take over a folder that is recovered and locked."""
        self.recovery = recovery
        self._segments = segments
        self._board = Board(tail.head)
        self._folder_lock = lock
        self._clock = options.clock
        self._faults = options.faults
        self._on_batch = options.on_batch
        self._append_lock = Lock()
        self._next = NextSegment(segments.folder, options.segment_bytes, self._reached)
        self._fd = os.open(segments.items[-1].path, os.O_RDWR | os.O_CLOEXEC)
        self._capacity = os.fstat(self._fd).st_size
        self._offset = tail.offset
        self._synced = SyncedFile(segments.folder, segments.log_id)
        self._publish(tail.head)

    @property
    def log_id(self) -> bytes:
        """The random 16 bytes that name this log."""
        return self._segments.log_id

    def append(self, batch: Sequence[Draft]) -> Position:
        """Make a batch durable with one write and one sync; see `Log.append`."""
        with self._append_lock:
            self._board.check()
            check_batch(batch)
            head = self._board.head()
            at = Position(head.seq + 1, max(self._clock(), head.time + 1))
            frames, chain = encode_batch(batch, at.first_seq, at.recorded_at, head.chain)
            data = b"".join(frames)
            if self._offset + len(data) > self._capacity:
                self._rotate(head, len(data))
            self._reached("after_reserve")
            self._write(data)
            sync_s = self._sync()
            self._reached("after_sync")
            self._index(at.first_seq, frames)
            self._offset += len(data)
            self._publish(Head(at.first_seq + len(batch) - 1, chain, at.recorded_at + len(batch) - 1))
            if self._offset > self._capacity * _PREPARE_AT:
                self._next.prepare()
        if self._on_batch is not None:
            self._on_batch(sync_s, len(batch), len(data))
        return at

    def read(self, from_seq: int, limit: int) -> list[Record]:
        """Give checked records in order; see `Log.read`."""
        head_seq = self._board.head().seq
        check_from(from_seq)
        upto = min(head_seq, from_seq - 1 + min(limit, LOG_READ_RECORDS_MAX))
        records: list[Record] = []
        size = 0
        for frames in self._segments.frames(from_seq, upto, head_seq):
            records.extend([frame.record for frame in frames])
            size += frames[-1].end
            if size >= LOG_READ_BYTES_MAX:
                break
        return records

    def hashes(self, from_seq: int, to_seq: int) -> list[bytes]:
        """Give frame hashes, each frame checked; see `Log.hashes`."""
        head_seq = self._board.head().seq
        check_page(from_seq, to_seq, head_seq)
        pages = self._segments.frames(from_seq, to_seq, head_seq)
        return [frame.digest for frames in pages for frame in frames]

    def erase(self, seqs: Sequence[int]) -> None:
        """Overwrite the bodies of records where they stand; see `Log.erase`."""
        check_erasable(seqs, self._board.head().seq)
        try:
            with self._segments.changing:
                erase_bodies(self._segments, seqs, self._reached)
        except OSError as error:
            raise self._fail("erasing before the end of", error) from error

    def head(self) -> Head:
        """Give the last durable record's seq, chain value and time."""
        return self._board.head()

    def wait(self, after_seq: int, timeout_s: float) -> bool:
        """Wait for a record after `after_seq`; see `Log.wait`."""
        return self._board.wait(after_seq, timeout_s)

    def usage(self) -> Usage:
        """Say how many segment files there are and what they take, the prepared one not counted."""
        sizes = [segment.path.stat().st_size for segment in list(self._segments.items)]
        return Usage(len(sizes), sum(sizes))

    def close(self) -> None:
        """Let go of the folder; waits for a batch that is being appended."""
        with self._append_lock:
            self._board.close()
            if self._fd >= 0:
                self._next.close()
                self._synced.close()
                os.close(self._fd)
                self._fd = -1
                self._folder_lock.close()

    def _publish(self, head: Head) -> None:
        """Show a durable head to this process and to others."""
        self._synced.publish(head, self._segments.items[-1].header.offset + self._offset)
        self._board.publish(head)

    def _reached(self, point: str) -> None:
        if self._faults is not None:
            self._faults.at(point)

    def _write(self, data: bytes) -> None:
        """Write the frames of one batch.

        Raises:
            Unavailable: there was no room, and nothing of it is left in the file.
            StorageFailed: anything else; the log is dead.
        """
        # Two pieces only for a test that wants to die between them.
        half = len(data) // 2 if self._faults is not None else len(data)
        done = 0
        try:
            for piece in (data[:half], data[half:]):
                view = memoryview(piece)
                while view:
                    written = os.pwrite(self._fd, view, self._offset + done)
                    done += written
                    view = view[written:]
                if done < len(data):
                    self._reached("half_frame")
        except OSError as error:
            if error.errno in NO_SPACE and self._unwrite(done):
                raise self._no_room(error) from error
            raise self._fail("writing to", error) from error
        except BaseException as error:
            raise self._fail("writing to", error) from error

    def _unwrite(self, size: int) -> bool:
        """Put zeros where part of a batch was written, durably, so that no later batch can meet its rest."""
        try:
            if size:
                write_all(self._fd, bytes(size), self._offset)
                os.fdatasync(self._fd)
        except OSError:
            return False
        return True

    def _sync(self) -> float:
        """Sync what was written and give the seconds it took; a sync that failed is never tried again.

        Raises:
            StorageFailed: it failed; the log is dead.
        """
        try:
            self._reached("before_sync")
            begin = perf_counter()
            os.fdatasync(self._fd)
            return perf_counter() - begin
        except BaseException as error:
            raise self._fail("syncing", error) from error

    def _rotate(self, head: Head, size: int) -> None:
        """Go on in a new segment that has room for `size` bytes.

        Raises:
            Unavailable: there is no room for one; the log is as it was.
            StorageFailed: it could not be synced; the log is dead.
        """
        last = self._segments.items[-1]
        offset = last.header.offset + self._offset
        header = Header(self.log_id, head.seq + 1, offset, head.chain, head.time)
        path = self._segments.folder / segment_name(offset)
        try:
            fd, capacity = self._next.take(HEADER_BYTES + size)
            write_all(fd, encode_header(header), 0)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise self._no_room(error) from error
            raise self._fail("preparing a segment after", error) from error
        try:
            self._reached("rotate_header")
            os.fdatasync(fd)
            self._reached("rotate_rename")
            self._next.path.rename(path)
            self._next.given(last.path, self._offset)
            self._reached("dir_sync")
            sync_folder(path.parent)
            self._reached("rotate_done")
        except BaseException as error:
            raise self._fail("rotating after", error) from error
        self._segments.items.append(Segment(path, header))
        os.close(self._fd)
        self._fd, self._capacity, self._offset = fd, capacity, HEADER_BYTES

    def _index(self, seq: int, frames: list[bytes]) -> None:
        """Let the segment remember where some of the frames of a new batch begin."""
        segment, offset = self._segments.items[-1], self._offset
        for i, frame in enumerate(frames):
            segment.note(seq + i, offset)
            offset += len(frame)

    def _no_room(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"no room for the log in {self._segments.folder}: {error.strerror}",
            code="no_space",
            hint="Free space on this disk; writing goes on by itself.",
            retry_after_s=LOG_NO_SPACE_RETRY_S,
        )

    def _fail(self, doing: str, error: BaseException) -> StorageFailed:
        """Let the log die: what is on the disk is unknown until the next start finds out."""
        failure = StorageFailed(f"{doing} {self._segments.items[-1].path}: {error}")
        self._board.fail(failure)
        return failure
