"""`stemedb backup`: snapshots beside the archive: made, verified, listed, pruned."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from stemedb import __version__, limits
from stemedb.backup.checking import has_view
from stemedb.backup.create import Made, Source
from stemedb.backup.create import create as make_backup
from stemedb.backup.layout import snapshot_folders
from stemedb.backup.manifest import read_manifest
from stemedb.backup.points import SnapshotPoint, shown_time
from stemedb.backup.retention import Rules
from stemedb.backup.retention import prune as prune_backups
from stemedb.backup.verify import verify as verify_backups
from stemedb.cli.backups import (
    bar,
    from_option,
    make_way,
    metrics_option,
    server_key,
    trust_option,
    trusted_keys,
    write_metrics,
)
from stemedb.cli.host import become_owner, with_data
from stemedb.cli.main import CORRUPT
from stemedb.cli.output import note, print_json, print_table
from stemedb.cli.session import json_option
from stemedb.telemetry import Sample

if TYPE_CHECKING:
    from stemedb.backup.retention import Pruning
    from stemedb.backup.verify import Report
    from stemedb.settings import Settings

_MIB = limits.MIB


@click.group()
def backup() -> None:
    """Make, verify, list and prune backups."""


@backup.command(epilog="\b\nExample:\n  stemedb backup create --to /backups")
@click.option("--to", "target", metavar="DIR", required=True, help="Folder of the backups (/backups).")
@metrics_option
@json_option
@with_data
def create(*, settings: Settings, target: str, metrics_dir: str | None, as_json: bool) -> None:
    """Make a backup beside the running service: the view of this moment, and the log up to it.

    It is read again before it gets its name. Without an archive service the log is archived here, too.
    Exit status: 0 made, 65 something is damaged, 75 no room or another backup at work.
    """
    make_way()
    source = Source(settings.wal_dir, settings.db_dir, server_key(settings), __version__)
    made = make_backup(source, Path(target).absolute(), lambda text: None if as_json else note(text))
    write_metrics(
        metrics_dir,
        "stemedb_backup",
        [
            Sample("stemedb_backup_last_success_timestamp_seconds", round(time.time(), 3)),
            Sample("stemedb_backup_last_size_bytes", made.size_bytes),
            Sample("stemedb_backup_last_duration_seconds", round(made.seconds, 3)),
        ],
    )
    if as_json:
        print_json(_shown(made))
        return
    manifest = made.manifest
    click.echo(
        f"{made.folder}: records 1 to {manifest.seq}, {manifest.claims_count} claims, "
        f"{made.size_bytes / _MIB:.1f} MiB, {made.seconds:.1f} s, digest {manifest.state_digest}"
    )


def _shown(made: Made) -> dict[str, object]:
    manifest = msgspec.to_builtins(made.manifest)
    return {
        "name": made.folder.name,
        "path": str(made.folder),
        "size_bytes": made.size_bytes,
        "seconds": round(made.seconds, 3),
        **{name: manifest[name] for name in ("log_id", "seq", "chain", "claims_count", "state_digest")},
    }


@backup.command(epilog="\b\nExample:\n  stemedb backup key > server.pub")
@json_option
@with_data
def key(*, settings: Settings, as_json: bool) -> None:
    """Print the server's public key, by which its backups are believed: keep it somewhere else."""
    found = server_key(settings).agent_id.hex()
    if as_json:
        print_json({"server_key": found})
    else:
        click.echo(found)


@backup.command(epilog="\b\nExample:\n  stemedb backup verify --from /backups --full")
@from_option
@click.option("--full", is_flag=True, help="All of it, not only what is new since the last time.")
@trust_option
@metrics_option
@json_option
def verify(
    *, backup_dir: str, full: bool, trust_keys: tuple[str, ...], metrics_dir: str | None, as_json: bool
) -> int:
    """Check backups: hashes, signatures, frames and the chain; by default what is new since the last time.

    Exit status: 0 whole, 65 damaged.
    """
    make_way()
    folder = Path(backup_dir).absolute()
    keys = trusted_keys(trust_keys)
    become_owner(folder)
    with bar("verifying") as progress:
        report = verify_backups(folder, keys, full=full, progress=progress)
    if report.whole:
        name = "stemedb_backup_verify_last_success_timestamp_seconds"
        write_metrics(metrics_dir, "stemedb_backup_verify", [Sample(name, round(time.time(), 3))])
    _show_report(report, as_json=as_json)
    return 0 if report.whole else CORRUPT


def _show_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json({"whole": report.whole, **msgspec.to_builtins(report)})
        return
    for each in report.problems:
        click.echo(f"{each.code}: {each.detail} ({each.hint})")
    if report.whole:
        click.echo(
            f"whole up to record {report.seq}: {report.records} records and {report.signatures} signatures, "
            f"{report.snapshots} snapshots checked, {report.snapshots_skipped} seen before, "
            f"{report.seconds:.1f} s"
        )


@backup.command("list", epilog="\b\nExample:\n  stemedb backup list --from /backups")
@from_option
@json_option
def list_(*, backup_dir: str, as_json: bool) -> None:
    """List the snapshots, the oldest first, as their manifests say; `verify` says whether that is true."""
    folder = Path(backup_dir).absolute()
    become_owner(folder)
    points = [SnapshotPoint(each, read_manifest(each, None)) for each in snapshot_folders(folder)]
    if as_json:
        print_json(
            [
                {
                    "name": point.folder.name,
                    "view": has_view(point),
                    **{
                        name: getattr(point.manifest, name)
                        for name in ("seq", "recorded_at", "created_at", "claims_count", "log_bytes")
                    },
                    "view_bytes": sum(entry.bytes for entry in point.manifest.files),
                }
                for point in points
            ]
        )
        return
    rows = [
        (
            point.folder.name,
            str(point.manifest.seq),
            shown_time(point.manifest.recorded_at),
            str(point.manifest.claims_count),
            f"{sum(entry.bytes for entry in point.manifest.files) / _MIB:.1f} MiB"
            if has_view(point)
            else "erased",
        )
        for point in points
    ]
    print_table(("snapshot", "seq", "recorded by", "claims", "view"), rows)


_KEPT = click.IntRange(min=0, max=limits.BACKUPS_KEPT_MAX)


@backup.command(
    epilog="\b\nExample:\n"
    "  stemedb backup prune --from /backups --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --yes"
)
@from_option
@click.option("--keep-daily", type=_KEPT, required=True, metavar="N", help="Of the last N days with any.")
@click.option("--keep-weekly", type=_KEPT, required=True, metavar="N", help="Of the last N weeks with any.")
@click.option("--keep-monthly", type=_KEPT, required=True, metavar="N", help="Of the last N months with any.")
@click.option("--yes", is_flag=True, help="Remove; without it nothing is removed, only shown.")
@json_option
def prune(
    *,
    backup_dir: str,
    keep_daily: int,
    keep_weekly: int,
    keep_monthly: int,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove snapshots but the newest of each of the last days, weeks and months; show what without --yes.

    The newest one stays, and the archive of the log: every kept point needs all of it.
    """
    folder = Path(backup_dir).absolute()
    become_owner(folder)
    done = prune_backups(folder, Rules(keep_daily, keep_weekly, keep_monthly), remove=yes)
    _show_pruning(done, removed=yes, as_json=as_json)


def _show_pruning(done: Pruning, *, removed: bool, as_json: bool) -> None:
    if as_json:
        print_json({"kept": done.kept, "removed": done.removed, "done": removed})
        return
    for name, why in done.kept.items():
        click.echo(f"keep    {name}  {', '.join(why)}")
    for name in done.removed:
        click.echo(f"{'removed' if removed else 'remove '} {name}")
    if not removed and done.removed:
        note("nothing was removed; --yes removes")
