"""`stemedb restore`: from a backup folder back to data folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stemedb.backup.checking import check
from stemedb.backup.points import parse_target, read_points, shown_time
from stemedb.backup.restore import Wanted
from stemedb.backup.restore import restore as restore_backup
from stemedb.cli.backups import bar, from_option, trust_option, trusted_keys
from stemedb.cli.host import with_data
from stemedb.cli.output import note, print_json
from stemedb.cli.session import json_option

if TYPE_CHECKING:
    from stemedb.backup.points import Points
    from stemedb.settings import Settings


@click.command(
    epilog="\b\nExample:\n  stemedb restore --from /backups --wal-dir /data/wal --db-dir /data/db\n"
    "  stemedb restore --from /backups --wal-dir /tmp/wal --db-dir /tmp/db --at 2026-11-25T02:00:00Z"
)
@from_option
@click.option("--at", metavar="SEQ|TIME", help="Restore the state after this record, or of this moment.")
@click.option("--log-only", is_flag=True, help="The log only; the service makes the view from it.")
@click.option("--verify-only", is_flag=True, help="Check everything, as a restore would, and write nothing.")
@trust_option
@json_option
@with_data
def restore(  # noqa: PLR0913 - one keyword an option
    *,
    settings: Settings,
    backup_dir: str,
    at: str | None,
    log_only: bool,
    verify_only: bool,
    trust_keys: tuple[str, ...],
    as_json: bool,
) -> None:
    """Restore log and view into empty folders: all that was archived, or the state of one moment.

    Everything is checked on the way: manifests and heads against trusted keys, frames, chain, signatures of
    agents. What fails leaves the folders empty. Exit status: 0 done, 1 a folder is not empty or the moment
    cannot be reached, 65 the backup is damaged or not trusted, 75 no room, 78 no key to trust.
    """
    target = parse_target(at) if at is not None else None
    points = read_points(Path(backup_dir).absolute(), trusted_keys(trust_keys))
    if verify_only:
        _verify(points, as_json=as_json)
        return
    key_dir = settings.key_dir
    keep = (key_dir.name,) if key_dir.parent == settings.wal_dir else ()
    wanted = Wanted(settings.wal_dir, None if log_only else settings.db_dir, target, keep)
    with bar("restoring") as progress:
        done = restore_backup(points, wanted, progress, lambda text: None if as_json else note(text))
    if as_json:
        print_json(done._asdict())
        return
    click.echo(f"log {done.log_id}: records 1 to {done.seq}, recorded by {shown_time(done.recorded_at)}")
    click.echo(f"chain {done.chain}; {done.signatures_count} signatures verified")
    if not log_only:
        came = f"from snapshot {done.snapshot}" if done.snapshot else "folded from the log"
        click.echo(f"view {came}: {done.claims_count} claims, digest {done.state_digest}")
    if done.erased_later:
        note("what was erased after this moment did not come back")


def _verify(points: Points, *, as_json: bool) -> None:
    with bar("verifying") as progress:
        walked = check(points, progress)
    found = {
        "log_id": points.log_id.hex(),
        "seq": points.head.seq,
        "records": walked.records_count,
        "signatures": walked.signatures_count,
        "redacted": walked.redacted_count,
        "snapshots": len(points.snapshots),
        "complete_until": points.complete_until,
    }
    if as_json:
        print_json({"restorable": True, **found})
        return
    click.echo(
        f"restorable: log {found['log_id']} up to record {found['seq']}, complete until "
        f"{shown_time(points.complete_until)}; {found['records']} records, {found['signatures']} signatures "
        f"and {found['snapshots']} snapshots are whole"
    )
