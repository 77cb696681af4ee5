"""Which moments a backup folder can give back, by what trusted keys vouch for."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, NamedTuple

from stemedb.backup.layout import STATE_NAME, WAL_NAME, ArchiveState, plain_head, read_state, snapshot_folders
from stemedb.backup.manifest import Manifest, Trusted, read_manifest, require_trusted_head
from stemedb.errors import Corrupt, Invalid, NotFound
from stemedb.limits import RESTORE_MARGIN_S
from stemedb.log import Head
from stemedb.log.folder import read_meta

_US_PER_S: Final = 1_000_000
_DIGITS: Final = re.compile(r"[0-9]{1,18}")


class SnapshotPoint(NamedTuple):
    """A snapshot and its manifest."""

    folder: Path
    manifest: Manifest


class Points(NamedTuple):
    """What a backup folder holds: the log up to `head`, which is signed, and snapshots, the oldest first.

    Everything recorded up to `complete_until` (microseconds) is in it.
    """

    wal: Path
    log_id: bytes
    head: Head
    complete_until: int
    snapshots: list[SnapshotPoint]

    def manifest_heads(self) -> dict[int, str]:
        """Return the chain values (hex) that manifests vouch for, by seq."""
        return {point.manifest.seq: point.manifest.chain for point in self.snapshots}


def read_points(backup_dir: Path, trusted: Trusted) -> Points:
    """Read what trusted keys vouch for.

    Raises:
        NotFound: there is no backup in the folder.
        Corrupt: a manifest or the archive's head is damaged, of another log, or signed by another key.
    """
    wal = backup_dir / WAL_NAME
    snapshots = [SnapshotPoint(each, read_manifest(each, trusted)) for each in snapshot_folders(backup_dir)]
    state = read_state(wal / STATE_NAME, ArchiveState)
    if state is not None:
        require_trusted_head(wal / STATE_NAME, state.head, trusted)
    last = max(snapshots, key=lambda point: point.manifest.seq, default=None)
    if state is None and last is None:
        raise NotFound(f"{backup_dir} holds no backup", hint="Name the folder that `--to` named.")
    if state is not None and (last is None or state.head.seq >= last.manifest.seq):
        head, log_id, until = plain_head(state.head), state.head.log_id, state.caught_up_at
    else:
        assert last is not None  # noqa: S101 - one of the two is there
        manifest = last.manifest
        head = Head(manifest.seq, bytes.fromhex(manifest.chain), manifest.recorded_at)
        log_id, until = manifest.log_id, 0
    _require_one_log(wal, log_id, snapshots)
    complete_until = max(head.time, until - int(RESTORE_MARGIN_S * _US_PER_S))
    return Points(wal, bytes.fromhex(log_id), head, complete_until, snapshots)


def _require_one_log(wal: Path, log_id: str, snapshots: list[SnapshotPoint]) -> None:
    meta = read_meta(wal) if wal.is_dir() else None
    if meta is None:
        ways_out = ("put the folder back, from another copy of the backups",)
        raise Corrupt(f"{wal}: the archive is missing", code="bad_backup", ways_out=ways_out)
    found = {meta.log_id, *(point.manifest.log_id for point in snapshots)}
    if found != {log_id}:
        others = ", ".join(sorted(found - {log_id}))
        detail = f"{wal.parent} holds backups of more than one log: {log_id} and {others}"
        raise Corrupt(detail, code="foreign_archive", ways_out=("keep one folder a log",))


class Target(NamedTuple):
    """A moment that was asked for: a seq, or a time (microseconds)."""

    seq: int | None
    time: int | None


def parse_target(text: str) -> Target:
    """Read `--at`: a seq (digits), or a time as in 2026-11-25T02:00:00Z; raises `Invalid`."""
    if _DIGITS.fullmatch(text):
        return Target(int(text), None)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Invalid(
            f"--at {text[:40]!r} is neither a seq nor a time",
            hint="Write the number of a record, or a time as 2026-11-25T02:00:00Z.",
        ) from None
    if moment.tzinfo is None:
        raise Invalid(f"--at {text}: say which time zone", hint=f"For UTC: {text}Z.")
    delta = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return Target(None, (delta.days * 86_400 + delta.seconds) * _US_PER_S + delta.microseconds)


def require_reachable(points: Points, target: Target) -> None:
    """Raise `NotFound`, naming the farthest point, unless the backup can give this moment back."""
    head = points.head
    if target.seq is not None and not 1 <= target.seq <= head.seq:
        raise _unreachable(f"record {target.seq}", points)
    if target.time is not None and target.time > points.complete_until:
        raise _unreachable(shown_time(target.time), points)


def _unreachable(asked: str, points: Points) -> NotFound:
    head, until = points.head, shown_time(points.complete_until)
    return NotFound(
        f"{asked} cannot be reached: the backup goes to record {head.seq}, all of it by {until}",
        code="unreachable_point",
        hint=f"The farthest point is --at {head.seq}.",
    )


def shown_time(moment_us: int) -> str:
    """Return a time (microseconds) as people read it."""
    seconds, rest = divmod(moment_us, _US_PER_S)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:06}Z"
