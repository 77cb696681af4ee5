"""`stemedb-api`: the service's entry point. Everything it does is set in the environment."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from stemedb import __version__, limits
from stemedb.api import processor, systemd
from stemedb.api.process import Process
from stemedb.backup.status import BackupStatus
from stemedb.cli.memory import forget_variable
from stemedb.engine import CREATED, Engine, EngineSettings, KeyChange, open_engine
from stemedb.errors import BadSettings, Corrupt, Locked, StemedbError, StorageFailed
from stemedb.guard import Guards, GuardSettings
from stemedb.model.keys import Role, hash_secret
from stemedb.model.records import KeyRecord
from stemedb.settings import Settings, is_secret, read_settings
from stemedb.store import crash
from stemedb.telemetry import LogSink, Telemetry, make_logger, masked

if TYPE_CHECKING:
    import structlog

EXIT_STATUS: Final[dict[type[StemedbError], int]] = {
    BadSettings: 78,
    Corrupt: 65,
    Locked: 75,
    StorageFailed: 74,
}
"""As in sysexits.h. 65 and 78 need a human; the others may heal by starting again."""

EXIT_UNEXPECTED: Final = 70
_ROOT_KEY: Final = "STEMEDB_ROOT_API_KEY"

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
    processors = processor.settle()  # before the first thread
    sink = LogSink(sys.stderr.buffer)
    status, last_line = 0, ""
    try:
        _serve(_read_settings(), sink, processors)
    except StemedbError as error:
        kinds = (code for kind, code in EXIT_STATUS.items() if isinstance(error, kind))
        status, last_line = next(kinds, EXIT_UNEXPECTED), _one_line(error)
    except Exception as error:  # noqa: BLE001  (one line, whatever it was)
        status, last_line = EXIT_UNEXPECTED, f"unexpected: {error!r}"
    sink.close()
    if last_line:
        print(f"stemedb-api: {_printable(masked(last_line))}", file=sys.stderr)
    sys.stderr.flush()
    # No farewell by the interpreter: threads may still be inside the storage engine, and nothing that they
    # do matters any more. What was acknowledged is on the disk.
    os._exit(status)


def _printable(text: str) -> str:
    """Return a text that cannot speak to a terminal: it may hold what an environment or a client said."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _one_line(error: StemedbError) -> str:
    return " ".join(f"{error.detail} ({error.hint})".split())


def _serve(settings: Settings, sink: LogSink, processors: frozenset[int]) -> None:
    log = make_logger(settings.log, sink.write)
    if settings.exposed:
        log.warning("no keys are asked for on a public address", setting="STEMEDB_AUTH_ENABLED")
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
    root_secret = _root_secret(settings)
    telemetry = Telemetry(__version__)
    telemetry.exposed.set(settings.exposed)
    backups = BackupStatus(settings.backup_dir) if settings.backup_dir else None
    engine_settings = EngineSettings(
        wal_dir=settings.wal_dir,
        db_dir=settings.db_dir,
        key_dir=settings.key_dir,
        segment_bytes=settings.wal_segment_bytes,
        disk_floor_mb=settings.disk_floor_mb,
        unsafe_skip_signatures=settings.unsafe_skip_signatures,
        archived_seq=backups.known_seq(settings.wal_dir) if backups else 0,
        processors=processors,
    )
    guards = Guards(_guard_settings(settings))
    process = Process(
        listener,
        adopted=adopted is not None,
        telemetry=telemetry,
        log=log,
        guards=guards,
        env=os.environ,
    )
    process.note_slow_queries(settings.slow_query_ms)
    telemetry.breakers_open.set_function(lambda: guards.house.breakers.open_count)
    telemetry.breakers_open_longest.set_function(lambda: guards.house.breakers.open_longest_s)

    def opener(progress: Callable[[str], None]) -> Engine:
        engine = open_engine(
            engine_settings,
            telemetry=telemetry,
            progress=progress,
            on_verifier_lost=lambda what: log.warning("verifier lost", error=what),
        )
        if backups is not None:
            engine.watch_backups(backups)
        if settings.auth_enabled:
            _seed(engine, root_secret, log)
        guards.look_at_content(engine.secret_for("content defence"))
        guards.keep_in(settings.db_dir, lambda error: log.warning("quotas not saved", error=str(error)))
        return engine

    # What is here stays; and a long question makes thousands of rows, none of them in a circle. Looking
    # through all that for circles took up to two fifths of its time.
    gc.freeze()
    gc.set_threshold(limits.COLLECT_AFTER_OBJECTS)
    process.run(opener)


def _read_settings() -> Settings:
    """Read the environment, and take the secret out of it."""
    try:
        return read_settings(os.environ)
    finally:
        if os.environ.pop(_ROOT_KEY, None) is not None:
            forget_variable(_ROOT_KEY)


def _root_secret(settings: Settings) -> str | None:
    """Return the first admin key, if one was given; raises `BadSettings` for a file without one."""
    path = settings.root_api_key_file
    if path is None:
        return settings.root_api_key or None
    try:
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{_ROOT_KEY}_FILE={path} cannot be read: {error}") from None
    if not is_secret(secret):
        raise BadSettings(f"{_ROOT_KEY}_FILE={path} does not hold an API key (steme_live_ and 43 characters)")
    return secret


def _guard_settings(settings: Settings) -> GuardSettings:
    return GuardSettings(
        auth_enabled=settings.auth_enabled,
        exposed=settings.exposed,
        allowed_origins=settings.allowed_origins,
        trusted_proxies=settings.trusted_proxies,
        internal_networks=settings.internal_networks,
        meter_quota=settings.meter_quota if settings.meter_enabled else 0,
        admission_enabled=settings.admission_enabled,
        content_enabled=settings.content_defense_enabled,
    )


def _seed(engine: Engine, secret: str | None, log: structlog.typing.FilteringBoundLogger) -> None:
    """Make the first admin key, unless there was one ever; say so where nobody can get in."""
    if secret is not None:
        record = KeyRecord(hash_secret(secret), Role.ADMIN, "root", None, (), None)
        outcome = engine.submit_one(KeyChange(record, seed=True))
        if outcome.status == CREATED:
            log.info("root key made", key=outcome.id.hex())
        return
    with engine.view.snapshot() as snapshot:
        roles = {row.key.role for _, row in snapshot.api_keys() if row.is_live(time.time())}
    if Role.ADMIN not in roles:
        log.warning("no admin key lives", setting=_ROOT_KEY)


if __name__ == "__main__":
    main()
