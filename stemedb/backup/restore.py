"""Restoring: a log, and the view of it, from an archive and its snapshots, into empty folders.

Everything is checked on the way; what fails leaves the folders empty again. Whatever the archive knows to be
erased is not brought back, however early the moment that is asked for.
"""

from __future__ import annotations

import os
import shutil
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from stemedb.backup.create import require_room
from stemedb.backup.points import Points, Target, require_reachable, shown_time
from stemedb.backup.reading import Chunk, LogReader, segment_before
from stemedb.backup.redacting import Erasing
from stemedb.backup.viewing import Say, restore_view
from stemedb.backup.walking import Progress, walk
from stemedb.errors import Conflict, Corrupt
from stemedb.log import FolderLock
from stemedb.log.erasing import erase_bodies
from stemedb.log.files import FILE_MODE, Faults, write_all, write_file
from stemedb.log.folder import META_NAME, Meta, open_segments, read_meta, segment_name
from stemedb.log.frames import FORMAT_VERSION, HEADER_BYTES, BadHeader, decode_header
from stemedb.log.lock import LOCK_NAME
from stemedb.log.offline import FolderLog

FAULT_POINTS = ("restore_log", "restore_synced", "restore_view", "restore_done")
"""Steps at which a fault hook is called."""


class Wanted(NamedTuple):
    """Where to restore to, and which moment (None: all there is). Without `db_dir` the log only."""

    wal_dir: Path
    db_dir: Path | None
    target: Target | None
    keep: tuple[str, ...] = ()
    """Names in `wal_dir` that may be there, such as the folder of the server's key."""


class Restored(NamedTuple):
    """What was restored.

    `snapshot` is the one that the view came from, "" where it was folded anew. `erased_later`: the archive
    knows of erasures after this moment, so that less came back than was there then.
    """

    log_id: str
    seq: int
    chain: str
    recorded_at: int
    snapshot: str
    claims_count: int
    state_digest: str
    signatures_count: int
    redacted_count: int
    erased_later: bool


def restore(
    points: Points,
    wanted: Wanted,
    progress: Progress = lambda _done, _total: None,
    say: Say = lambda _text: None,
    faults: Faults | None = None,
) -> Restored:
    """Restore into empty folders.

    Raises:
        Conflict: a folder is not empty.
        NotFound: the moment cannot be reached; the farthest one is named.
        Unavailable: there is no room.
        Corrupt: something is missing or not what was written; the folders are empty again.
    """
    if wanted.target is not None:
        require_reachable(points, wanted.target)
    with _emptied_on_failure(wanted):
        seq = _target_seq(points, wanted.target)
        require_room_for(points, wanted)
        say(f"restoring the log up to record {seq}")
        with closing(_LogWriter(wanted.wal_dir, seq)) as writer:
            walked = walk(points, take=writer.take, stop_at=seq, progress=progress)
            _reached(faults, "restore_log")
            writer.finish(points.log_id)
        _erase(wanted.wal_dir, walked.erased, seq)
        _reached(faults, "restore_synced")
        log = FolderLog(wanted.wal_dir)
        if log.head.seq != seq:
            detail = f"{wanted.wal_dir}: the log that was written ends with record {log.head.seq}, not {seq}"
            raise Corrupt(detail, code="bad_backup")
        snapshot, claims_count, digest = "", 0, ""
        if wanted.db_dir is not None:
            snapshot, claims_count, digest = restore_view(points, wanted.db_dir, log, walked.erased, say)
            _reached(faults, "restore_view")
    _reached(faults, "restore_done")
    return Restored(
        log.log_id.hex(),
        seq,
        log.head.chain.hex(),
        log.head.time,
        snapshot,
        claims_count,
        digest,
        walked.signatures_count,
        walked.redacted_count,
        any(each.seq > seq for each in walked.erased),
    )


def require_room_for(points: Points, wanted: Wanted) -> None:
    """Refuse where log and view, as large as they are in the backup, would not fit; raises `Unavailable`."""
    log_bytes = sum(path.stat().st_size for path in points.wal.glob("*.wal"))
    view_bytes = max((entry.bytes for point in points.snapshots for entry in point.manifest.files), default=0)
    require_room(wanted.wal_dir, log_bytes)
    if wanted.db_dir is not None:
        require_room(wanted.db_dir, view_bytes)


def _reached(faults: Faults | None, point: str) -> None:
    if faults is not None:
        faults.at(point)


def _target_seq(points: Points, target: Target | None) -> int:
    if target is None:
        return points.head.seq
    if target.seq is not None:
        return target.seq
    assert target.time is not None  # noqa: S101 - one of the two is given
    seq = _seq_at(points, target.time)
    if not seq:
        first = shown_time(_first_time(points))
        raise Conflict(f"nothing was recorded by {shown_time(target.time)}: the log begins at {first}")
    return seq


def _seq_at(points: Points, moment: int) -> int:
    """Return the last record accepted by `moment` (microseconds): headers say in which segment it is."""
    headers = []
    for path in sorted(points.wal.glob("*.wal")):
        with path.open("rb") as file, suppress(BadHeader):  # what is wrong is found by the walk
            headers.append(decode_header(file.read(HEADER_BYTES)))
    at = bisect_right(headers, moment, key=lambda header: header.time) - 1
    if at < 0:
        return points.head.seq if headers else 0
    place = segment_before(points.wal, points.log_id, headers[at].first_seq)
    seq = place.head.seq
    with closing(LogReader(points.wal, points.log_id, place)) as reader:
        for chunk in reader.chunks(points.head.seq):
            times = [record.recorded_at for record in chunk.records]
            seq += bisect_right(times, moment)
            if times and times[-1] > moment:
                break
    return seq


def _first_time(points: Points) -> int:
    with closing(LogReader(points.wal, points.log_id)) as reader:
        for chunk in reader.chunks(1):
            if chunk.records:
                return chunk.records[0].recorded_at
    return 0


# -- the folders --


@contextmanager
def _emptied_on_failure(wanted: Wanted) -> Iterator[None]:
    """Hold both folders, which must be empty, and leave them so if anything goes wrong."""
    folders = [each for each in (wanted.wal_dir, wanted.db_dir) if each is not None]
    kept = {LOCK_NAME, "lost+found", *wanted.keep}
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sorted(path.name for path in folder.iterdir() if path.name not in kept)
        if found:
            raise Conflict(
                f"{folder} is not empty: {found[0]} is there",
                hint="A restore writes into empty folders only. Remove what one that was cut short left.",
            )
    locks = [FolderLock(folder) for folder in folders]
    try:
        yield
    except BaseException:
        for folder in folders:
            for path in folder.iterdir():
                if path.name not in kept:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
    finally:
        for lock in locks:
            lock.close()


# -- the log --


class _LogWriter:
    """Writes what a walk gives, up to a record; log.json last, so that a rest of it is no log."""

    def __init__(self, folder: Path, upto_seq: int) -> None:
        self._folder = folder
        self._upto_seq = upto_seq
        self._seq = 0
        self._fd = -1

    def take(self, chunk: Chunk) -> None:
        if self._seq >= self._upto_seq:
            return
        if chunk.offset == 0:
            self.close()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(self._folder / segment_name(chunk.base), flags, FILE_MODE)
        write_all(self._fd, chunk.raw, chunk.offset)
        if chunk.records:
            self._seq = chunk.records[-1].seq

    def finish(self, log_id: bytes) -> None:
        self.close()
        meta = Meta(log_id.hex(), FORMAT_VERSION)
        write_file(self._folder / META_NAME, msgspec.json.encode(meta) + b"\n")

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _erase(wal_dir: Path, erased: list[Erasing], upto_seq: int) -> None:
    """Overwrite what the archive knows to be erased, and may not have overwritten yet."""
    seqs = [seq for each in erased for seq in each.seqs if seq <= upto_seq]
    if seqs:
        segments = open_segments(wal_dir, read_meta(wal_dir))
        with segments.changing:
            erase_bodies(segments, seqs, lambda _point: None)
