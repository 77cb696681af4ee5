"""Checking everything that a restore would read, and writing nothing."""

from __future__ import annotations

from stemedb.backup.create import forget
from stemedb.backup.manifest import require_file
from stemedb.backup.points import Points, SnapshotPoint
from stemedb.backup.redacting import VIEW_NAME, Erasing, holds_erased
from stemedb.backup.walking import Progress, Walked, walk
from stemedb.errors import Corrupt
from stemedb.store.copying import digest_of
from stemedb.store.pages import check_pages


def check(points: Points, progress: Progress = lambda _done, _total: None) -> Walked:
    """Check the archive and every snapshot whole, as a restore would, and restore nothing.

    Raises:
        Corrupt: something is not what was written, missing, or vouched for by nobody.
    """
    walked = walk(points, progress=progress)
    for point in points.snapshots:
        check_snapshot(point, walked.erased, deep=True)
    return walked


def check_snapshot(point: SnapshotPoint, erased: list[Erasing], *, deep: bool) -> bool:
    """Check a snapshot's files, and with `deep` every row; False if an erasure took its view.

    Raises:
        Corrupt: a file is missing or not what was signed.
    """
    if not has_view(point):
        if any(holds_erased(point.manifest.seq, each) for each in erased):
            return False
        require_file(point.folder, point.manifest.files[0])
    for entry in point.manifest.files:
        forget(point.folder / entry.path)
        require_file(point.folder, entry)
    if deep:
        view = point.folder / VIEW_NAME
        check_pages(view)
        state, digest = digest_of(view, live=False)
        manifest = point.manifest
        if (state.applied_seq, state.claims_count, digest) != (
            manifest.seq,
            manifest.claims_count,
            manifest.state_digest,
        ):
            raise Corrupt(f"{view}: it is not the state that the manifest says", code="bad_backup")
    return True


def has_view(point: SnapshotPoint) -> bool:
    """Say whether a snapshot's view is there."""
    return (point.folder / VIEW_NAME).is_dir()
