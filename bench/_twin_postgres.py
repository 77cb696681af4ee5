"""The twin over PostgreSQL: a pool of connections, synchronous_commit on, prepared statements.

`cluster` starts a scratch cluster of the installed version, on a socket in a folder of its own, and stops it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from psycopg_pool import ConnectionPool

from bench._twin import COLUMNS, SKEPTIC, TABLES, Row, tier_rows
from stemedb import limits

_MARKS = ", ".join(["%s"] * len(Row._fields))
_INSERT = f"insert into claims ({COLUMNS}) values ({_MARKS}) on conflict do nothing"  # noqa: S608 - constants
_ARRAYS = ", ".join(
    f"%s::{kind}[]"
    for kind in ("bytea", "text", "text", "int", "text", "float8", "bigint", "int", "bytea", "bytea", "text")
)
_INSERT_MANY = f"insert into claims ({COLUMNS}) select * from unnest({_ARRAYS}) on conflict do nothing"  # noqa: S608
_SETTINGS = {"listen_addresses": "", "max_connections": "100", "synchronous_commit": "on", "fsync": "on"}
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30


class PostgresStore:
    """Tables in a database."""

    def __init__(self, where: str) -> None:
        """Connect, and make the tables in an empty database."""
        self._pool = ConnectionPool(
            where, min_size=limits.HTTP_WORKERS, max_size=limits.HTTP_WORKERS, kwargs={"autocommit": True}
        )
        with self._pool.connection() as connection:
            connection.execute(TABLES.format(bytes="bytea"))
            with connection.cursor() as cursor:
                cursor.executemany("insert into tiers values (%s, %s, %s)", tier_rows())

    def insert(self, rows: Sequence[Row]) -> None:
        """See `Store`."""
        with self._pool.connection() as connection:
            if len(rows) == 1:
                connection.execute(_INSERT, rows[0], prepare=True)
            else:
                connection.execute(
                    _INSERT_MANY, [list(column) for column in zip(*rows, strict=True)], prepare=True
                )

    def skeptic(self, subject: str, predicate: str, now_s: int) -> list[tuple[str, float, int, int, str]]:
        """See `Store`."""
        values = {"subject": subject, "predicate": predicate, "now": float(now_s)}
        with self._pool.connection() as connection:
            return connection.execute(SKEPTIC.replace("max_of", "greatest"), values, prepare=True).fetchall()


def missing() -> str | None:
    """Return what this machine lacks for a cluster, in one line; None where it has it."""
    if programs() is None:
        return "PostgreSQL's server is missing: apt-get install postgresql"
    return None


def programs() -> Path | None:
    """Return the folder of the newest installed server's programs."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if folders:
        return folders[-1].parent
    return Path(found).parent if found else None


def _wait_for(bin_: Path, sockets: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while subprocess.run([bin_ / "pg_isready", "-q", "-h", sockets], check=False).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL did not start")
        time.sleep(0.1)


@contextmanager
def cluster(parent: Path) -> Iterator[str]:
    """Run a scratch cluster with its data below `parent`; give its connection string."""
    bin_ = programs()
    if bin_ is None:
        raise RuntimeError(missing())
    # PostgreSQL refuses to run as root, and a socket's path has a length limit.
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    user, group = (account.pw_uid, account.pw_gid) if account else (None, None)
    data, sockets = parent / "postgres", Path(tempfile.mkdtemp(prefix="pg-"))
    data.mkdir()
    if account:
        for folder in (data, sockets):
            os.chown(folder, account.pw_uid, account.pw_gid)
    server = None
    try:
        command = [str(bin_ / "initdb"), "--auth=trust", "--username=twin", "--no-sync", "-D", str(data)]
        subprocess.run(command, check=True, capture_output=True, cwd="/", user=user, group=group)
        settings = {**_SETTINGS, "unix_socket_directories": str(sockets)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = subprocess.Popen(
            [str(bin_ / "postgres"), "-D", str(data), *options],
            cwd="/",
            user=user,
            group=group,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for(bin_, sockets)
        yield f"host={sockets} user=twin dbname=postgres"
    finally:
        if server is not None:
            server.terminate()
            server.wait(_STOP_TIMEOUT_S)
        shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)
