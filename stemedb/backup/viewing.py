"""The view of a restored log: from the newest snapshot that may be used, and folded on from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec

from stemedb import limits
from stemedb.backup.checking import has_view
from stemedb.backup.manifest import require_file
from stemedb.backup.points import Points, SnapshotPoint
from stemedb.backup.redacting import VIEW_NAME, Erasing, holds_erased
from stemedb.errors import Corrupt
from stemedb.log.files import FILE_MODE, sync_folder
from stemedb.log.offline import FolderLog
from stemedb.store import View
from stemedb.store.environment import LOCK_NAME as VIEW_LOCK_NAME
from stemedb.store.pages import DATA_NAME

Say = Callable[[str], None]
"""Told in a few words what is being done."""


def restore_view(
    points: Points, db_dir: Path, log: FolderLog, erased: list[Erasing], say: Say
) -> tuple[str, int, str]:
    """Bring the view into `db_dir`; return the snapshot it is from, its claims and its digest."""
    usable = [point for point in points.snapshots if point.manifest.seq <= log.head.seq]
    sound = [point for point in usable if check_place(point, erased)]
    used = ""
    if sound and _put_view(sound[-1], db_dir, say):
        used = sound[-1].folder.name
    with closing(View(db_dir, sync=False)) as view:
        say(f"folding {log.head.seq - view.applied_seq} records into the view")
        if view.applied_seq:
            _fold(log, view)
        else:
            view.rebuild(lambda fresh: _fold(log, fresh))
        view.flush()
        say("computing the state's digest")
        digest, claims_count = view.digest(), view.claims_count
    sync_folder(db_dir)
    return used, claims_count, digest


def _put_view(point: SnapshotPoint, db_dir: Path, say: Say) -> bool:
    """Put a snapshot's view in place; False if it is of another version of stemedb, whose rows differ."""
    say(f"checking and copying the view of {point.folder.name}")
    for entry in point.manifest.files:
        require_file(point.folder, entry)
    copy = db_dir / DATA_NAME
    shutil.copyfile(point.folder / VIEW_NAME / DATA_NAME, copy)
    copy.chmod(FILE_MODE)
    require_file(db_dir, msgspec.structs.replace(point.manifest.files[0], path=DATA_NAME))
    try:
        View(db_dir).close()
    except Corrupt as error:
        if error.reason != "view_format":
            raise
        say("it is of another version: the view is made from the log instead")
        for path in (copy, db_dir / VIEW_LOCK_NAME):
            path.unlink()
        return False
    return True


def check_place(point: SnapshotPoint, erased: list[Erasing]) -> bool:
    """Say whether a snapshot's view may be used: not if it holds what was erased later.

    Raises:
        Corrupt: it is missing, and no erasure explains that.
    """
    if any(holds_erased(point.manifest.seq, each) for each in erased):
        return False
    if not has_view(point):
        require_file(point.folder, point.manifest.files[0])
    return True


def _fold(log: FolderLog, view: View) -> None:
    records = log.records(view.applied_seq + 1)
    while batch := list(islice(records, limits.FOLD_RECORDS_MAX)):
        view.fold(log.log_id, batch)
