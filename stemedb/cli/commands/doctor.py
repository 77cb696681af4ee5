"""`stemedb doctor`: is this host's data well, and what to do where it is not."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stemedb import __version__, limits
from stemedb.backup.drill import FAIL as DRILL_FAIL
from stemedb.backup.status import BackupStatus
from stemedb.cli import profile as profiles
from stemedb.cli.host import with_data
from stemedb.cli.local import ask, server_url
from stemedb.cli.output import print_json, short
from stemedb.cli.session import json_option
from stemedb.client import Client
from stemedb.engine import doctor as library
from stemedb.engine.doctor import NOTE, OK, WARN, Data, Finding
from stemedb.errors import StemedbError
from stemedb.log.synced import read_synced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stemedb.settings import Settings

_WAIT_S = 5.0
_PILOT_CLAIMS = 10_000
_NEAR = 0.8
_PILOT_P99_S = 0.5
_LATENCY = re.compile(rb'^stemedb_query_latency_seconds\{quantile="0\.99"\} (\S+)$', re.MULTILINE)
_MIGRATE = "Three nodes are for this: docs/limits.md, When to migrate."


@click.command(epilog="\b\nExample:\n  stemedb doctor --json")
@click.option("--quick", is_flag=True, help="Leave out the check of every page of the view.")
@click.option(
    "--backup-dir", metavar="DIR", default="/backups", show_default=True, help="Where the backups lie."
)
@json_option
@with_data
def doctor(*, settings: Settings, quick: bool, backup_dir: str, as_json: bool) -> int:
    """Examine data folders, disk, log, view, clock and server; say of each finding what to do.

    Changes nothing and may run beside the server. Exit status: 0 all well, 1 warnings, 2 something fails.
    """
    findings = examine(settings, Path(backup_dir), deep=not quick)
    status = library.worst(findings)
    if as_json:
        print_json(
            {"status": (OK, WARN, library.FAIL)[status], "findings": [each._asdict() for each in findings]}
        )
        return status
    for each in findings:
        click.echo(f"{each.level:<5} {each.check:<8} {short(each.detail)}")
        if each.todo:
            click.echo(f"{'':<15}-> {each.todo}")
    return status


def examine(settings: Settings, backup_dir: Path, *, deep: bool) -> list[Finding]:
    """Return every finding about this host's data and server; `deep` also checks every page of the view."""
    data = Data(settings.wal_dir, settings.db_dir, settings.key_dir, settings.disk_floor_mb, backup_dir)
    return [*library.examine(data, deep=deep), *_backups(settings.wal_dir, backup_dir), *_server(settings)]


def _backups(wal_dir: Path, backup_dir: Path) -> Iterator[Finding]:
    """Say how far archive, snapshots and drills are behind; nothing where no backups are meant to be."""
    with suppress(OSError):
        if not backup_dir.is_dir():
            return
    head = None
    with suppress(OSError):
        head = read_synced(wal_dir)
    backups = BackupStatus(backup_dir)
    found = backups.status(head.head.seq if head else 0)
    if found.archive is None:
        todo = "Start stemedb-archive.service: what no backup holds is lost with the disk."
        yield Finding("archive", WARN, f"{backup_dir} holds no archive of the log", todo)
    elif not backups.known_seq(wal_dir):
        todo = "Move its folder away and start stemedb-archive.service: the log is then archived anew."
        yield Finding("archive", WARN, f"the archive in {backup_dir} is another log's", todo)
    else:
        lag_s = time.time() - found.archive.caught_up_at
        missing = found.archive.behind_records
        behind = missing > 0 and lag_s > limits.ARCHIVE_LAG_S_MAX
        detail = f"record {found.archive.seq} is archived, {missing} are to follow"
        todo = f"For {lag_s:.0f} s: journalctl -u stemedb-archive, df -h {backup_dir}." if behind else ""
        yield Finding("archive", WARN if behind else OK, detail, todo)
    if found.last_backup is not None:
        age_h = (time.time() - found.last_backup.created_at) / 3600
        old = age_h > limits.BACKUP_AGE_H_MAX
        todo = "Make one: /usr/local/bin/backup-stemedb.sh, or stemedb backup create." if old else ""
        detail = f"the newest snapshot is {age_h:.1f} h old"
        yield Finding("snapshot", WARN if old else OK, detail, todo)
    if found.last_drill is not None and found.last_drill.result == DRILL_FAIL:
        todo = "Treat it as having no backups: docs/runbooks/backups.md."
        yield Finding("drill", library.FAIL, f"the last drill failed: {found.last_drill.detail}", todo)


def _server(settings: Settings) -> Iterator[Finding]:
    """Ask the running server, if there is one, and hold the pilot's list against it."""
    url = server_url(settings)
    try:
        with Client(
            url, profiles.environment().get("STEMEDB_API_KEY"), timeout_s=_WAIT_S, patience_s=0
        ) as client:
            health = client.health()
    except StemedbError as error:
        todo = "Start it, if it should run; STEMEDB_BIND_ADDR says where it is looked for."
        yield Finding("server", NOTE, error.detail, todo)
        claims = None
    else:
        claims = health.assertions_count
        wrong = {name: text for name, text in health.checks.items() if text != OK and name != "auth"}
        detail = f"{health.status} at {url}" + "".join(f"; {name}: {text}" for name, text in wrong.items())
        todo = "See its journal: journalctl -u stemedb-api." if wrong else ""
        yield Finding("server", OK if health.status == "healthy" else WARN, detail, todo)
        same = health.version == __version__
        detail = f"the server is {health.version}, this command {__version__}"
        yield Finding(
            "version", OK if same else WARN, detail, "" if same else "Restart the service after an upgrade."
        )
    yield from _auth(settings)
    yield from _when_to_migrate(settings, claims, _p99_s(url))


def _auth(settings: Settings) -> Iterator[Finding]:
    """Say who may use the service."""
    if settings.auth_enabled:
        yield Finding("auth", OK, "keys are asked for")
    elif settings.exposed:
        detail = f"no keys are asked for on {settings.bind_addr}: whoever reaches it may do everything"
        yield Finding("auth", NOTE, detail, "Set STEMEDB_AUTH_ENABLED=true: docs/operating/security.md.")
    else:
        yield Finding("auth", OK, "no keys are asked for; only this host can reach it")


def _p99_s(url: str) -> float | None:
    """Return the slowest percent's time to answer over the last minutes; None if it is not to be had."""
    try:
        found = _LATENCY.search(ask(f"{url}/metrics", timeout_s=_WAIT_S))
    except OSError:
        return None
    value = float(found[1]) if found else float("nan")
    return None if value != value else value  # noqa: PLR0124 - nan: nothing was asked lately


def _when_to_migrate(settings: Settings, claims: int | None, p99_s: float | None) -> Iterator[Finding]:
    """Yield the pilot document's list of reasons for three nodes, each with whether it holds."""
    if claims is None:
        try:
            claims = library.claims_count(settings.db_dir)
        except StemedbError:
            claims = 0
    near = claims >= _NEAR * _PILOT_CLAIMS
    detail = f"{claims} claims, the pilot's bound is {_PILOT_CLAIMS}"
    yield Finding("migrate", NOTE if near else OK, detail, _MIGRATE if near else "")
    if p99_s is None:
        yield Finding("migrate", OK, "no question was asked lately, so there is no p99 to judge")
    else:
        slow = p99_s > _PILOT_P99_S
        detail = f"p99 of the last minutes {p99_s * 1000:.1f} ms, the pilot's bound is 500 ms sustained"
        yield Finding("migrate", NOTE if slow else OK, detail, _MIGRATE if slow else "")
    detail = (
        "only you can say: is a recovery within 5 minutes needed, is the pilot validated, is it compliance?"
    )
    yield Finding("migrate", OK, detail)
