"""A service with an archive beside it, as on a host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stemedb.backup.layout import STATE_NAME, ArchiveState, read_state
from stemedb.errors import StemedbError
from tests.cli.running import BIN, Cli, wait_until
from tests.e2e.service import ServiceProcess

__all__ = ["Site"]


class Site:
    """A service, its backup folder, and the command line of its operator."""

    def __init__(self, folder: Path, *, env: dict[str, str] | None = None) -> None:
        """Lay out everything below `folder`; `start` brings it to life."""
        self.folder = folder
        self.backups = folder / "backups"
        self.backups.mkdir()
        self.metrics = folder / "metrics"
        self.metrics.mkdir()
        self.service = ServiceProcess(folder, env={"STEMEDB_DISK_FLOOR_MB": "1"} | (env or {}))
        self.cli = Cli(folder / "home", self.service.url)
        data = {name: value for name, value in self.service.env.items() if name.endswith("_DIR")}
        self.cli.env |= data
        self.archiving: subprocess.Popen[str] | None = None

    def start(self) -> Site:
        """Start the service and the archive."""
        self.service.start()
        self.start_archive()
        return self

    def start_archive(self) -> None:
        """Start the archive's process."""
        program, wal = str(BIN / "stemedb"), str(self.backups / "wal")
        command = [program, "archive", "--to", wal, "--metrics-dir", str(self.metrics)]
        self.archiving = subprocess.Popen(
            command, env=self.cli.env, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )

    @property
    def head_seq(self) -> int:
        """The log's last record."""
        seq: int = self.service.get("/v1/health").json()["seq"]
        return seq

    @property
    def archived_seq(self) -> int:
        """The last record that the archive claims."""
        with suppress(OSError, StemedbError):
            state = read_state(self.backups / "wal" / STATE_NAME, ArchiveState)
            return state.head.seq if state else 0
        return 0

    def wait_archived(self) -> int:
        """Wait until everything is archived; return the last record."""
        seq = self.head_seq
        wait_until(lambda: self.archived_seq >= seq, "archived")
        return seq

    @property
    def trust(self) -> str:
        """The server's public key."""
        key: str = self.service.get("/v1/log/head").json()["server_key"]
        return key

    def close(self) -> None:
        """End everything that still runs."""
        self.service.close()
        self.stop_archive()

    def stop_archive(self, *, kill: bool = False) -> None:
        """End the archive's process, if it runs."""
        if self.archiving is not None:
            (self.archiving.kill if kill else self.archiving.terminate)()
            self.archiving.communicate()
            self.archiving = None


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A service and its archive, running."""
    made = Site(tmp_path)
    try:
        yield made.start()
    finally:
        made.close()
