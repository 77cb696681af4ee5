"""`stemedb report`: one archive for whoever helps, without secrets."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from stemedb.cli import bundle
from stemedb.cli import profile as profiles
from stemedb.cli.bundle import Part, Redactor
from stemedb.cli.commands.config import limit_table, server_settings
from stemedb.cli.commands.doctor import examine
from stemedb.cli.host import become_owner, with_environment
from stemedb.cli.local import ask, server_url
from stemedb.cli.output import note, print_json
from stemedb.cli.session import json_option
from stemedb.errors import BadSettings
from stemedb.settings import SETTINGS, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACES = ("STEMEDB_BIND_ADDR", "STEMEDB_WAL_DIR", "STEMEDB_DB_DIR", "STEMEDB_KEY_DIR")
_QUESTIONS = {"health.json": "/v1/health", "head.json": "/v1/log/head", "metrics.txt": "/metrics"}


@click.command(epilog="\b\nExample:\n  sudo stemedb report --output /root/report.tar.gz")
@click.option(
    "--output", metavar="FILE", help="Where to write it (stemedb-report-HOST-TIME.tar.gz in this folder)."
)
@click.option("--quick", is_flag=True, help="Leave out the check of every page of the view.")
@click.option(
    "--backup-dir", metavar="DIR", default="/backups", show_default=True, help="Where the backups lie."
)
@json_option
@with_environment
def report(*, env: dict[str, str], output: str | None, quick: bool, backup_dir: str, as_json: bool) -> None:
    """Gather what helps to find an error into one archive: tar.gz, mode 0600, no secrets, no claims.

    Versions, settings, limits, findings of doctor, health, metrics, files of the data folders, units and
    journal. Works beside a running server and without one. On a host run it as root: the journal is root's.
    """
    name = f"stemedb-report-{platform.node() or 'host'}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    path = Path(output or f"{name}.tar.gz").absolute()
    handle = _created(path)
    # Root's part first: what follows is read as the data's owner.
    parts = [Part("about.json", bundle.about()), *bundle.host()]
    settings = _usable(env)
    become_owner(settings.wal_dir)
    parts += _settings(env)
    parts += _data(settings, Path(backup_dir), deep=not quick)
    parts += _server(settings)
    sizes = bundle.write(handle, name, parts, Redactor({**profiles.environment(), **env}))
    if as_json:
        print_json({"file": str(path), "parts": sizes})
        return
    click.echo(str(path))
    note("No secrets and no claims are in it; addresses, and names of subjects that were asked for, may be.")


def _created(path: Path) -> int:
    """Open a new file that only its owner may read; raises `BadSettings` where that cannot be."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "Name another file with --output."
        raise BadSettings(f"cannot write {path}: {error.strerror}", code="bad_output", hint=hint) from error


def _usable(env: dict[str, str]) -> Settings:
    """Return the settings; where they are refused, those that say where things are."""
    try:
        return read_settings(env)
    except BadSettings:
        return read_settings({name: env[name] for name in _PLACES if name in env})


def _settings(env: dict[str, str]) -> Iterator[Part]:
    """Yield settings and limits; settings that a server refuses, with its words."""
    try:
        shown: object = server_settings(env)
    except BadSettings as error:
        known = {row.name for row in SETTINGS if not row.secret}
        given = {name: value if name in known else bundle.HIDDEN for name, value in env.items()}
        shown = {"refused": error.detail, "given": given}
    yield Part("settings.json", _json(shown))
    yield Part("limits.json", _json(limit_table()))


def _data(settings: Settings, backup_dir: Path, *, deep: bool) -> Iterator[Part]:
    findings = examine(settings, backup_dir, deep=deep)
    yield Part("doctor.json", _json([each._asdict() for each in findings]))
    yield Part("files.txt", bundle.files((settings.wal_dir, settings.db_dir, settings.key_dir, backup_dir)))


def _server(settings: Settings) -> Iterator[Part]:
    for name, path in _QUESTIONS.items():
        try:
            text = ask(f"{server_url(settings)}{path}").decode(errors="replace")
        except OSError as error:
            text = f"not to be had: {error}"
        yield Part(name, text)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
