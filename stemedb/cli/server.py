"""`stemedb-api`: the service's entry point. Everything it does is set in the environment."""

from __future__ import annotations

import os
import sys
from typing import Final

import click

from stemedb import __version__
from stemedb.api import systemd
from stemedb.api.process import Process
from stemedb.engine import EngineSettings, open_engine
from stemedb.errors import BadSettings, Corrupt, Locked, StemedbError, StorageFailed
from stemedb.settings import Settings, read_settings
from stemedb.store import crash
from stemedb.telemetry import LogSink, Telemetry, make_logger

EXIT_STATUS: Final[dict[type[StemedbError], int]] = {
    BadSettings: 78,
    Corrupt: 65,
    Locked: 75,
    StorageFailed: 74,
}
"""As in sysexits.h. 65 and 78 need a human; the others may heal by starting again."""

EXIT_UNEXPECTED: Final = 70

HELP = """Run the stemedb service until SIGTERM or SIGINT.

It is configured by the environment only; .env.example lists every setting. Defaults serve a laptop:
127.0.0.1:18180, data in ./data.

\b
Example:
  STEMEDB_BIND_ADDR=127.0.0.1:18181 STEMEDB_WAL_DIR=/tmp/wal STEMEDB_DB_DIR=/tmp/db stemedb-api

\b
Exit status: 0 stopped, 65 corrupt data, 74 storage failed, 75 data or port in use, 78 bad configuration.
"""


@click.command(help=HELP)
@click.version_option(__version__, prog_name="stemedb-api", message="%(prog)s %(version)s")
def main() -> None:
    """Run the service and end the process with its status."""
    sink = LogSink(sys.stderr.buffer)
    status, last_line = 0, ""
    try:
        _serve(read_settings(os.environ), sink)
    except StemedbError as error:
        kinds = (code for kind, code in EXIT_STATUS.items() if isinstance(error, kind))
        status, last_line = next(kinds, EXIT_UNEXPECTED), _one_line(error)
    except Exception as error:  # noqa: BLE001  (one line, whatever it was)
        status, last_line = EXIT_UNEXPECTED, f"unexpected: {error!r}"
    sink.close()
    if last_line:
        print(f"stemedb-api: {last_line}", file=sys.stderr)
    sys.stderr.flush()
    # No farewell by the interpreter: threads may still be inside the storage engine, and nothing that they
    # do matters any more. What was acknowledged is on the disk.
    os._exit(status)


def _one_line(error: StemedbError) -> str:
    return " ".join(f"{error.detail} ({error.hint})".split())


def _serve(settings: Settings, sink: LogSink) -> None:
    log = make_logger(settings.log, sink.write)
    if settings.meter_enabled:
        log.warning("metering is not enforced by this version", setting="STEMEDB_METER_ENABLED")
    if settings.unsafe_skip_signatures:
        log.warning("unsigned claims are accepted", setting="STEMEDB_UNSAFE_SKIP_SIGNATURES")
    host, port = settings.bind_addr
    adopted = systemd.adopt(os.environ, host, port)
    listener = adopted or systemd.bind(host, port)
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    try:
        settings.db_dir.mkdir(parents=True, exist_ok=True)
        crash.arm(settings.db_dir)
    except OSError as error:
        raise BadSettings(f"STEMEDB_DB_DIR={settings.db_dir} cannot be used: {error.strerror}") from error
    telemetry = Telemetry()
    engine_settings = EngineSettings(
        wal_dir=settings.wal_dir,
        db_dir=settings.db_dir,
        key_dir=settings.key_dir,
        segment_bytes=settings.wal_segment_bytes,
        disk_floor_mb=settings.disk_floor_mb,
        unsafe_skip_signatures=settings.unsafe_skip_signatures,
    )
    process = Process(listener, adopted=adopted is not None, telemetry=telemetry, log=log, env=os.environ)
    process.run(lambda progress: open_engine(engine_settings, telemetry=telemetry, progress=progress))


if __name__ == "__main__":
    main()
