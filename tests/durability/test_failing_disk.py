"""A write or sync that fails below Python: nothing more is acknowledged, the process ends and says why."""

from __future__ import annotations

import errno
import json
import subprocess
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.durability.ledger import Writers, acknowledged, assert_log_holds, assert_server_shows
from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import claim

SOURCE = Path(__file__).with_name("failing_disk.c")
STORAGE_FAILED = 74


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the library that lets calls fail."""
    built = tmp_path_factory.mktemp("shim") / "failing_disk.so"
    subprocess.run(
        ["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", built, SOURCE, "-ldl"], check=True
    )
    return built


class Disk:
    """A service whose disk can be made to fail."""

    def __init__(self, server: ServerFactory, shim: Path, folder: Path) -> None:
        self._control = folder / "fault"
        env = {"LD_PRELOAD": str(shim), "FAILING_DISK": str(self._control)}
        self.service: ServiceProcess = server(env=env, held_socket=True)

    def fail(self, call: str, error: int, suffix: str) -> None:
        """Let a call on files with this suffix fail from now on."""
        draft = self._control.with_suffix(".draft")
        draft.write_text(f"{call} {error} {suffix}\n")
        draft.rename(self._control)

    def heal(self) -> None:
        """Let everything work again."""
        self._control.unlink()

    @property
    def failures(self) -> int:
        """How many calls were made to fail."""
        count = self._control.with_name("fault.count")
        return count.stat().st_size if count.exists() else 0


@pytest.fixture
def disk(server: ServerFactory, shim: Path, tmp_path: Path) -> Disk:
    """Return a running service on a disk that works until told otherwise."""
    return Disk(server, shim, tmp_path)


class ReadyWatch(threading.Thread):
    """Asks `/readyz` until nobody answers any more, and remembers what it heard."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.heard: list[int] = []

    def run(self) -> None:
        """Ask over one connection: once the process is gone, it breaks."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        with suppress(OSError, HTTPException):
            while True:
                connection.request("GET", "/readyz")
                response = connection.getresponse()
                response.read()
                self.heard.append(response.status)
        connection.close()


@pytest.mark.parametrize(
    ("call", "suffix", "said"),
    [("fdatasync", ".wal", "syncing"), ("pwrite", ".wal", "writing to"), ("fdatasync", "data.mdb", "")],
)
def test_failed_write_or_sync_ends_the_process(
    disk: Disk, tmp_path: Path, call: str, suffix: str, said: str
) -> None:
    service = disk.service
    ledger = tmp_path / "ledger"
    writers = Writers(service.port, ledger)
    try:
        while len(acknowledged(ledger)) < 50:
            time.sleep(0.01)
        watch = ReadyWatch(service.port)
        watch.start()
        while not watch.heard:
            time.sleep(0.01)
        disk.fail(call, errno.EIO, suffix)
        assert service.wait() == STORAGE_FAILED
        watch.join()
        told = acknowledged(ledger)
        # It was ready, then it was not, and only then it ended.
        assert watch.heard[0] == 200
        assert watch.heard[-1] == 503
        last_line = service.log.splitlines()[-1]
        assert last_line.startswith("stemedb-api: storage failed"), last_line
        assert said in last_line
        assert "Input/output error" in last_line
        # A failed sync is never tried again: the pages it lost count as clean afterwards.
        assert disk.failures == 1
        disk.heal()
        service.start()
        assert_server_shows(service.port, told)
        # Whoever asks for metrics every now and then did not see the process that failed.
        assert b"\nstemedb_wal_fsync_errors_total 1.0\n" in service.get("/metrics").body
        writers.stop()
    finally:
        writers.kill()
    told = acknowledged(ledger)
    assert_log_holds(service.folder / "wal", told)
    assert_server_shows(service.port, told)


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("suffix", [".wal", "data.mdb"])
def test_write_without_room_or_right_is_refused_and_heals(disk: Disk, error: int, suffix: str) -> None:
    service = disk.service
    assert service.post("/v1/assert", claim(predicate="before")).status == 201
    disk.fail("pwrite", error, suffix)
    if suffix == "data.mdb":
        disk.fail("fdatasync", error, suffix)
    for number in range(3):
        refused = service.post("/v1/assert", claim(predicate=f"during-{number}"))
        assert refused.status == 503
        assert json.loads(refused.body)["code"] == "no_space"
        assert int(refused.headers["Retry-After"]) > 0
    assert service.get("/readyz").status == 200
    health = service.get("/v1/health").json()
    assert health["status"] == "degraded"
    assert "no room" in health["checks"]["disk"]
    found = service.get("/v1/query?subject=fda://drug/semaglutide&predicate=before")
    assert len(found.json()["assertions"]) == 1
    disk.heal()
    for number in range(3):
        assert service.post("/v1/assert", claim(predicate=f"during-{number}")).status in (200, 201)
    health = service.get("/v1/health").json()
    assert (health["status"], health["assertions_count"]) == ("healthy", 4)
    assert service.stop() == 0
    assert_log_holds(service.folder / "wal", {})
