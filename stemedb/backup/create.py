"""Making a snapshot beside a running service: the view of one moment, the log up to it, a signed manifest."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final, NamedTuple

from stemedb import limits
from stemedb.backup.archive import Archiver
from stemedb.backup.layout import STATE_NAME, WAL_NAME, ArchiveState, read_state
from stemedb.backup.manifest import FORMAT_VERSION, Manifest, SegmentEntry, entry_of, write_manifest
from stemedb.backup.reading import LogReader, Place, segment_before
from stemedb.backup.redacting import VIEW_NAME
from stemedb.errors import Corrupt, Locked, Unavailable
from stemedb.log import FolderLock
from stemedb.log.files import Faults, sync_folder
from stemedb.log.folder import segment_paths
from stemedb.log.frames import HEADER_BYTES, decode_header
from stemedb.log.synced import read_synced
from stemedb.model import Signer
from stemedb.store import ViewState
from stemedb.store.copying import copy_view, digest_of, view_bytes
from stemedb.store.pages import DATA_NAME, check_pages

DRAFT_PREFIX: Final = ".making-"
FAULT_POINTS: Final = ("backup_copied", "backup_archived", "backup_manifest", "backup_rename", "backup_done")
"""Steps at which a fault hook is called."""

Say = Callable[[str], None]
"""Told in a few words what is being done."""


class Source(NamedTuple):
    """The data folders of the service whose backup is made, its key, and its version."""

    wal_dir: Path
    db_dir: Path
    signer: Signer
    version: str


class Made(NamedTuple):
    """A backup that was made: `size_bytes` is its view and the log up to it."""

    folder: Path
    manifest: Manifest
    size_bytes: int
    seconds: float


@contextmanager
def holding(backup_dir: Path) -> Iterator[None]:
    """Hold a backup folder, against other changes of its snapshots; the archive needs it for moments only.

    Raises:
        Locked: another backup or pruning is at work.
    """
    deadline = time.monotonic() + limits.BACKUP_LOCK_WAIT_S
    while True:
        try:
            lock = FolderLock(backup_dir)
            break
        except Locked:
            if time.monotonic() > deadline:
                raise
            time.sleep(limits.ARCHIVE_LOOK_S)
    with closing(lock):
        yield


def create(
    source: Source, backup_dir: Path, say: Say = lambda _text: None, faults: Faults | None = None
) -> Made:
    """Make a snapshot in `backup_dir`, check it, and give it its name.

    Raises:
        Unavailable: there is no room, or the archive does not follow.
        Locked: another backup is being made.
        Corrupt: view, log or archive are not what was written; nothing is kept.
        NotFound: there is no view.
    """
    began = time.monotonic()
    backup_dir.mkdir(mode=0o700, exist_ok=True)
    with holding(backup_dir):
        for left in backup_dir.glob(f"{DRAFT_PREFIX}*"):
            shutil.rmtree(left)
        require_room(backup_dir, _wanted_bytes(source, backup_dir))
        draft = backup_dir / f"{DRAFT_PREFIX}{os.getpid()}"
        draft.mkdir(mode=0o700)
        try:
            manifest = _fill(source, backup_dir / WAL_NAME, draft, say, faults or _NoFaults())
            folder = _free_name(backup_dir, manifest)
            draft.rename(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_folder(backup_dir)
    if faults is not None:
        faults.at("backup_done")
    # What was erased meanwhile waited for this backup to be finished.
    _archive(source, backup_dir / WAL_NAME, manifest.seq)
    size = manifest.log_bytes + sum(entry.bytes for entry in manifest.files)
    return Made(folder, manifest, size, time.monotonic() - began)


def _free_name(backup_dir: Path, manifest: Manifest) -> Path:
    """Name a snapshot by when it was made and the last record it holds; a second later if that is taken."""
    at = datetime.fromtimestamp(manifest.created_at, timezone.utc)
    while (folder := backup_dir / f"{at:%Y%m%dT%H%M%SZ}-{manifest.seq:012}").exists():
        at += timedelta(seconds=1)
    return folder


class _NoFaults:
    def at(self, point: str) -> None:
        """Do nothing."""


def require_room(folder: Path, size: int) -> None:
    """Refuse unless `folder` has room for `BACKUP_ROOM_FACTOR` times `size` bytes; raises `Unavailable`."""
    found = os.statvfs(folder)
    free, wanted = found.f_bavail * found.f_frsize, limits.BACKUP_ROOM_FACTOR * size
    if free < wanted:
        raise Unavailable(
            f"{folder} has {free // limits.MIB} MiB free; {wanted // limits.MIB} MiB are wanted, "
            f"{limits.BACKUP_ROOM_FACTOR} times what is to be written",
            code="no_space",
            hint="Free space there, enlarge the disk, or remove old backups: stemedb backup prune.",
        )


def _wanted_bytes(source: Source, backup_dir: Path) -> int:
    synced = read_synced(source.wal_dir)
    state = read_state(backup_dir / WAL_NAME / STATE_NAME, ArchiveState)
    archived = state.base + state.offset if state else 0
    return view_bytes(source.db_dir) + max(0, (synced.end if synced else 0) - archived)


def _fill(source: Source, wal: Path, draft: Path, say: Say, faults: Faults) -> Manifest:
    say("copying the view")
    began = time.monotonic()

    def go_on(growth_bytes: int) -> None:
        if (
            growth_bytes > limits.BACKUP_GROWTH_BYTES_MAX
            or time.monotonic() > began + limits.BACKUP_COPY_S_MAX
        ):
            raise Unavailable(
                f"copying the view took {time.monotonic() - began:.0f} s and let it grow by "
                f"{growth_bytes // limits.MIB} MiB: given up",
                hint="Make the backup when less is written.",
            )

    view = draft / VIEW_NAME
    view.mkdir(mode=0o700)
    state = copy_view(source.db_dir, view, go_on)
    sync_folder(view)
    faults.at("backup_copied")
    say("waiting for the archive")
    _archive(source, wal, state.applied_seq)
    faults.at("backup_archived")
    say("checking what was written")
    place = _place_of(wal, state)
    forget(view / DATA_NAME)
    check_pages(view)
    found, digest = digest_of(view, live=False)
    if found != state:
        raise Corrupt(f"{view}: the copy is not what was copied", code="bad_backup")
    manifest = Manifest(
        format=FORMAT_VERSION,
        version=source.version,
        log_id=state.log_id.hex(),
        first_seq=1,
        seq=state.applied_seq,
        chain=place.head.chain.hex(),
        recorded_at=state.recorded_at,
        created_at=int(time.time()),
        claims_count=state.claims_count,
        state_digest=digest,
        log_bytes=place.end,
        files=[entry_of(draft, view / DATA_NAME)],
        segments=list(_segments(wal, state.applied_seq)),
    )
    write_manifest(draft, manifest, source.signer)
    faults.at("backup_manifest")
    sync_folder(draft)
    faults.at("backup_rename")
    return manifest


def _archive(source: Source, wal: Path, seq: int) -> None:
    """Bring the archive up to `seq`: by its own service where one runs, else here and now."""
    deadline = time.monotonic() + limits.BACKUP_ARCHIVE_WAIT_S
    while True:
        try:
            with closing(Archiver(source.wal_dir, wal, source.signer)) as archiver:
                archiver.step()
        except Locked:
            pass  # its service runs
        state = read_state(wal / STATE_NAME, ArchiveState)
        reached = state.head.seq if state else 0
        if reached >= seq:
            return
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the archive holds record {reached}, the backup needs {seq}: it does not follow",
                hint="See `systemctl status stemedb-archive`, or stop it: the backup archives, too.",
            )
        time.sleep(limits.ARCHIVE_LOOK_S)


def _place_of(wal: Path, state: ViewState) -> Place:
    """Find record `applied_seq` in the archive, which must be the one that the view saw."""
    place = segment_before(wal, state.log_id, state.applied_seq)
    with closing(LogReader(wal, state.log_id, place)) as reader:
        for _ in reader.chunks(state.applied_seq):
            pass
        if reader.place.head.time != state.recorded_at:
            detail = f"the view saw another record {state.applied_seq} than the archive in {wal} holds"
            raise Corrupt(detail, code="foreign_view")
        return reader.place


def _segments(wal: Path, seq: int) -> Iterator[SegmentEntry]:
    for path in segment_paths(wal):
        with path.open("rb") as file:
            header = decode_header(file.read(HEADER_BYTES))
        if header.first_seq > seq:
            return
        yield SegmentEntry(path.name, header.first_seq, header.chain.hex())


def forget(path: Path) -> None:
    """Let the system forget what it has in memory of a synced file, so that reading it asks the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
