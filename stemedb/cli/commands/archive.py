"""`stemedb archive`: the service that copies the log as soon as it is on stable storage."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stemedb import limits
from stemedb.api.systemd import Notifier, watchdog_s
from stemedb.backup import Archiver, Report, follow
from stemedb.backup.layout import WAL_NAME
from stemedb.cli.backups import metrics_option, server_key, write_metrics
from stemedb.cli.host import with_data
from stemedb.cli.output import note
from stemedb.errors import BadSettings
from stemedb.telemetry import Sample

if TYPE_CHECKING:
    from stemedb.settings import Settings


@click.command(
    epilog="\b\nExample:\n  stemedb archive --to /backups/wal --metrics-dir /var/lib/stemedb-metrics"
)
@click.option("--to", "target", metavar="DIR", required=True, help="The archive (/backups/wal).")
@metrics_option
@with_data
def archive(*, settings: Settings, target: str, metrics_dir: str | None) -> None:
    """Copy every record of the log to an archive as soon as it is on stable storage, until SIGTERM.

    Runs beside the service and never holds it up. Whatever stops it, the next run goes on. A full or missing
    target is reported and tried again. Exit status: 0 stopped, 65 the archive is another log's, 75 in use.
    """
    folder = Path(target)
    if folder.name != WAL_NAME:
        raise BadSettings(f"--to {target}: an archive's folder is called {WAL_NAME}, beside the snapshots")
    signer, teller, stop = server_key(settings), _Teller(metrics_dir), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def open_archive() -> Archiver:
        return Archiver(settings.wal_dir, folder, signer, alive=teller.alive)

    follow(open_archive, settings.wal_dir, folder, teller.tell, stop)


class _Teller:
    """Tells the service manager, the metrics' folder and the journal how the archive stands."""

    def __init__(self, metrics_dir: str | None) -> None:
        self._metrics_dir = metrics_dir
        self._notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
        self._watched = watchdog_s(os.environ) is not None
        self._ready = False
        self._told: str | None = None
        self._alive_at = self._written_at = 0.0

    def alive(self) -> None:
        """Give a sign of life in the middle of long work."""
        if time.monotonic() - self._alive_at > limits.ARCHIVE_METRICS_EVERY_S:
            self._alive_at = time.monotonic()
            if self._watched:
                self._notifier.send("WATCHDOG=1")
            if not self._ready:
                self._notifier.progress("copying what there is")

    def tell(self, report: Report) -> None:
        """Tell how the archive stands now."""
        self.alive()
        if not self._ready:
            self._ready = True
            self._notifier.send("READY=1")
        news = report.trouble != self._told
        if not news and time.monotonic() - self._written_at < limits.ARCHIVE_METRICS_EVERY_S:
            return
        self._written_at = time.monotonic()
        status = f"record {report.seq} is archived"
        if report.trouble:
            status = f"behind by {report.behind_bytes} bytes for {report.lag_s:.0f} s: {report.trouble}"
        self._notifier.send(f"STATUS={' '.join(status.split())}")
        if news:
            self._told = report.trouble
            note(f"stemedb archive: {status}")
        try:
            write_metrics(self._metrics_dir, "stemedb_archive", _samples(report))
        except OSError as error:
            if news:
                note(f"stemedb archive: metrics not written: {error}")


def _samples(report: Report) -> list[Sample]:
    return [
        Sample("stemedb_archive_lag_seconds", round(report.lag_s, 3)),
        Sample("stemedb_archive_behind_bytes", report.behind_bytes),
        Sample("stemedb_archive_last_update_timestamp_seconds", round(report.caught_up_at, 3)),
        Sample("stemedb_archive_seq", report.seq),
    ]
