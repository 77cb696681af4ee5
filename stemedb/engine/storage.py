"""How much the storage holds and takes, for operators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from stemedb.engine.disk import DiskFloor, space_of
from stemedb.log import Usage
from stemedb.model.operations_wire import DiskStats, LogStats, StorageReply, ViewStats
from stemedb.store.local import FOLDER_NAME
from stemedb.store.pages import DATA_NAME

if TYPE_CHECKING:
    from stemedb.engine.engine import Engine

_BLOCK_BYTES: Final = 512  # what st_blocks counts in
_SHARE_DIGITS: Final = 6


def storage_stats(engine: Engine, disk: DiskFloor, usage: Usage) -> StorageReply:
    """Return sizes and positions as of now. Raises `OSError` where a data folder cannot be looked at."""
    _, db_dir = disk.folders
    map_usage = engine.view.map_usage()
    disks = [
        DiskStats(name, space.free_bytes, space.size_bytes, disk.floor_bytes)
        for name, folder in zip(("wal", "db"), disk.folders, strict=True)
        for space in [space_of(folder)]
    ]
    view = ViewStats(
        seq=engine.view.applied_seq,
        claims_count=engine.view.claims_count,
        map_used_bytes=map_usage.used_bytes,
        map_size_bytes=map_usage.size_bytes,
        map_use=round(map_usage.used_bytes / map_usage.size_bytes, _SHARE_DIGITS),
        file_bytes=_taken_bytes(db_dir / DATA_NAME),
    )
    return StorageReply(
        log=LogStats(engine.log.head().seq, usage.segments, usage.bytes),
        view=view,
        audits_file_bytes=_taken_bytes(db_dir / FOLDER_NAME / DATA_NAME),
        queued_changes_count=engine.queued,
        disks=disks,
    )


def _taken_bytes(path: Path) -> int:
    """Return what a file takes on disk: LMDB's are sparse."""
    return path.stat().st_blocks * _BLOCK_BYTES
