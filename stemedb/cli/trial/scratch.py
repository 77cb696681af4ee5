"""A service of its own for a trial: the real program, on a scratch folder and a loopback port."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stemedb import limits
from stemedb.client import Client
from stemedb.errors import BadSettings, StemedbError

_LOOK_S = 0.05


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give a folder in `parent`, removed afterwards; raises `BadSettings` where none can be made."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="stemedb-trial-", dir=parent)
    except OSError as error:
        hint = "Name a folder on the disk that will hold the data."
        raise BadSettings(f"{parent} cannot be written: {error.strerror}", hint=hint) from error
    with folder as name:
        yield Path(name)


@contextmanager
def folder_to_make(parent: Path) -> Iterator[Path]:
    """Give the name of a folder in `parent` for a program to make, which may run as another account.

    Afterwards it is removed, if it is there and empty.
    """
    folder = parent / f"stemedb-trial-{secrets.token_hex(4)}"
    yield folder
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def scratch_service(folder: Path) -> Iterator[str]:
    """Run a service on `folder` until the `with` ends; give its URL.

    Raises `StemedbError` with the service's last line where it does not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("STEMEDB_")}
    env |= {
        "STEMEDB_BIND_ADDR": f"127.0.0.1:{port}",
        "STEMEDB_WAL_DIR": str(folder / "wal"),
        "STEMEDB_DB_DIR": str(folder / "db"),
        "STEMEDB_LOG": "warn",
    }
    log = folder / "service.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "stemedb.cli.server"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, child, log)
        yield url
    finally:
        child.terminate()
        try:
            child.wait(limits.DRAIN_TIMEOUT_S + limits.CLOSE_TIMEOUT_S + 1)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_for(url: str, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + limits.CLIENT_TIMEOUT_S
    with Client(url, patience_s=0) as client:
        while child.poll() is None and time.monotonic() < deadline:
            with suppress(StemedbError):
                if client.health().status in ("healthy", "degraded"):
                    return
            time.sleep(_LOOK_S)
    lines = log.read_text(errors="replace").splitlines() or ["it said nothing"]
    raise StemedbError(f"the scratch service did not start: {lines[-1]}", code="scratch_service")
