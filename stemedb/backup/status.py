"""How the backups stand, for the service beside them: read from the small files in the backup folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from stemedb.backup.layout import (
    DRILL_NAME,
    STATE_NAME,
    VERIFIED_NAME,
    WAL_NAME,
    ArchiveState,
    DrillState,
    read_state,
    snapshot_folders,
)
from stemedb.backup.manifest import read_manifest
from stemedb.backup.verify import VerifiedState
from stemedb.errors import StemedbError
from stemedb.limits import ARCHIVE_LAG_S_MAX, FAR_COPIES_MAX
from stemedb.log.folder import read_meta
from stemedb.model.backup import ArchiveOut, BackupReply, DrillOut, SnapshotOut
from stemedb.model.erasure import DONE, PENDING, CopyOut

FAR_NAME: Final = "copies.json"
_US_PER_S: Final = 1_000_000
_S_PER_DAY: Final = 86_400


class FarCopy(msgspec.Struct, frozen=True):
    """A copy that an erasure cannot reach, such as an off-host repository, and how long that keeps things."""

    name: str
    keep_days: int


class BackupStatus:
    """Keeps `stemedb.engine.backups.Backups` for one backup folder. Whatever cannot be read is not known."""

    def __init__(self, backup_dir: Path) -> None:
        """Look at `backup_dir`, which need not be there yet."""
        self._dir = backup_dir

    def known_seq(self, wal_dir: Path) -> int:
        """Return the last record that the archive holds of the log in `wal_dir`; 0 where it is another's."""
        with suppress(OSError, StemedbError):
            meta, state = read_meta(wal_dir), self._archive()
            if meta is not None and state is not None and state.head.log_id == meta.log_id:
                return state.head.seq
        return 0

    def status(self, head_seq: int) -> BackupReply:
        """Return what is known of the backups."""
        state, found, drill = self._archive(), self._snapshots(), self._drill()
        verified_at = None
        with suppress(OSError, StemedbError):
            verified = read_state(self._dir / VERIFIED_NAME, VerifiedState)
            verified_at = verified.at if verified else None
        return BackupReply(
            configured=True,
            snapshots_count=len(found),
            last_backup=_last(found),
            archive=None if state is None else _archive_out(state, head_seq),
            verified_at=verified_at,
            last_drill=None
            if drill is None
            else DrillOut(drill.result, drill.at, drill.passed_at, drill.detail),
        )

    def trouble(self, head_seq: int, recorded_at: Callable[[int], int]) -> str:
        """Say that the archive is more than `ARCHIVE_LAG_S_MAX` behind the log; "" where it is not."""
        state = self._archive()
        archived = state.head.seq if state else 0
        if archived >= head_seq:
            return ""
        lag_s = time.time() - recorded_at(archived + 1) / _US_PER_S
        if lag_s <= ARCHIVE_LAG_S_MAX:
            return ""
        return f"{head_seq - archived} records are not archived, the first for {lag_s:.0f} s"

    def copies(self, erasure_seq: int) -> Sequence[CopyOut]:
        """Return the state of archive and snapshots, and by when copies farther away are gone."""
        state, found = self._archive(), []
        if state is not None:
            done = DONE if state.erased_seq >= erasure_seq else PENDING
            found = [CopyOut("archive", done), CopyOut("snapshots", done)]
        with suppress(OSError, msgspec.DecodeError):
            far = msgspec.json.decode((self._dir / FAR_NAME).read_bytes(), type=list[FarCopy])
            now = int(time.time())
            found += [
                CopyOut(copy.name, PENDING, now + copy.keep_days * _S_PER_DAY)
                for copy in far[:FAR_COPIES_MAX]
            ]
        return found

    def _archive(self) -> ArchiveState | None:
        with suppress(OSError, StemedbError):
            return read_state(self._dir / WAL_NAME / STATE_NAME, ArchiveState)
        return None

    def _drill(self) -> DrillState | None:
        with suppress(OSError, StemedbError):
            return read_state(self._dir / DRILL_NAME, DrillState)
        return None

    def _snapshots(self) -> list[Path]:
        with suppress(OSError, StemedbError):
            return snapshot_folders(self._dir)
        return []


def _last(folders: Sequence[Path]) -> SnapshotOut | None:
    if folders:
        with suppress(OSError, StemedbError):
            found = read_manifest(folders[-1], None)
            return SnapshotOut(folders[-1].name, found.seq, found.claims_count, found.created_at)
    return None


def _archive_out(state: ArchiveState, head_seq: int) -> ArchiveOut:
    behind = max(0, head_seq - state.head.seq)
    return ArchiveOut(state.head.seq, behind, state.caught_up_at / _US_PER_S)
