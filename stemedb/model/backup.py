"""What the service tells of its backups over HTTP, as the files beside them say."""

from __future__ import annotations

import msgspec


class SnapshotOut(msgspec.Struct, frozen=True):
    """The newest snapshot: its folder's name, what it holds, when it was made (Unix seconds)."""

    name: str
    seq: int
    claims_count: int
    created_at: int


class ArchiveOut(msgspec.Struct, frozen=True):
    """The archive of the log: its last record, how many it lacks, when it last lacked none (Unix seconds)."""

    seq: int
    behind_records: int
    caught_up_at: float


class DrillOut(msgspec.Struct, frozen=True):
    """The last restore drill: `result` is pass, fail or inconclusive; times in Unix seconds, 0 never."""

    result: str
    at: int
    passed_at: int
    detail: str


class BackupReply(msgspec.Struct, frozen=True):
    """GET /v1/admin/backup. Without STEMEDB_BACKUP_DIR nothing is `configured`, and nothing is known.

    `verified_at` (Unix seconds) is when a verification last found all whole.
    """

    configured: bool
    snapshots_count: int = 0
    last_backup: SnapshotOut | None = None
    archive: ArchiveOut | None = None
    verified_at: int | None = None
    last_drill: DrillOut | None = None
    trouble: str = ""
