"""A disk that fills up or becomes read-only under the service, for real."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.durability.ledger import Writers, acknowledged, assert_log_holds, assert_server_shows
from tests.durability.mounts import LoopDisk, memory_disk
from tests.e2e.conftest import ServerFactory
from tests.e2e.service import Reply, ServiceProcess
from tests.e2e.signing import claim, line

DISK_MB = 48
FLOOR_MB = 8
MIB = 1024 * 1024
WAIT_S = 60


def fill(folder: Path, *, leave_mb: float) -> Path:
    """Fill a file system but for so much."""
    filler = folder / "filler"
    found = os.statvfs(folder)
    size = found.f_bavail * found.f_frsize - int(leave_mb * MIB)
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.posix_fallocate(fd, os.fstat(fd).st_size, max(size, 4096))
    finally:
        os.close(fd)
    return filler


def until(met: Callable[[Reply], bool], ask: Callable[[], Reply]) -> Reply:
    """Ask until the reply is as wanted."""
    deadline = time.monotonic() + WAIT_S
    while not met(reply := ask()):
        assert time.monotonic() < deadline, (reply.status, reply.body)
        time.sleep(0.05)
    return reply


def post(service: ServiceProcess, name: str) -> Reply:
    """Write one claim, an always new or always the same one by its name."""
    return service.post("/v1/assert", claim(predicate=name))


def assert_reads_go_on(service: ServiceProcess) -> None:
    found = service.get("/v1/query?subject=fda://drug/semaglutide&predicate=first")
    assert found.status == 200
    assert len(found.json()["assertions"]) == 1
    assert service.get("/readyz").status == 200
    assert service.get("/v1/health").json()["status"] == "degraded"


def test_disk_below_the_floor_refuses_writes_and_heals(server: ServerFactory, tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", DISK_MB) as folder:
        service = server(folder=folder, env={"STEMEDB_DISK_FLOOR_MB": str(FLOOR_MB)})
        assert post(service, "first").status == 201
        filler = fill(folder, leave_mb=FLOOR_MB / 2)
        numbers = iter(range(1_000_000))
        refused = until(lambda reply: reply.status == 503, lambda: post(service, f"n{next(numbers)}"))
        assert refused.json()["code"] == "disk_floor"
        assert "MiB free, the floor is" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        assert_reads_go_on(service)
        filler.unlink()
        until(lambda reply: reply.status == 201, lambda: post(service, "healed"))
        assert service.get("/v1/health").json()["status"] == "healthy"
        assert service.stop() == 0
        assert_log_holds(folder / "wal", {})


def test_disk_full_to_the_last_byte_refuses_writes_and_heals(server: ServerFactory, tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", DISK_MB) as folder:
        service = server(folder=folder, env={"STEMEDB_DISK_FLOOR_MB": "0"})
        assert post(service, "first").status == 201
        filler = fill(folder, leave_mb=0)
        ledger = tmp_path / "ledger"
        writers = Writers(service.port, ledger)
        try:
            refused = until(
                lambda reply: reply.status == 503, lambda: post(service, f"p{time.monotonic_ns()}")
            )
            assert refused.json()["code"] == "no_space"
            told = acknowledged(ledger)
            assert_server_shows(service.port, told)
            found = service.get("/v1/query?subject=fda://drug/semaglutide&predicate=first")
            assert len(found.json()["assertions"]) == 1
            filler.unlink()
            before = len(told)
            until(lambda reply: reply.status == 201, lambda: post(service, "healed"))
            while len(acknowledged(ledger)) < before + 100:
                time.sleep(0.05)
            writers.stop()
        finally:
            writers.kill()
        told = acknowledged(ledger)
        assert_server_shows(service.port, told)
        service.kill()
        assert_log_holds(folder / "wal", told)
        service.start()
        assert_server_shows(service.port, told)
        service.close()


def test_file_size_limit_refuses_writes_and_heals(server: ServerFactory) -> None:
    service = server()
    assert post(service, "first").status == 201
    unlimited = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
    # Less than a segment and than the view: neither the next one nor the view's next page can be written.
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (64 * 1024, unlimited[1]))
    long = [line(number, object={"type": "Text", "value": "x" * 50_000}) for number in range(40)]
    lines = service.bulk(long).body.decode().splitlines()
    assert any('"no_space"' in each for each in lines)
    refused = post(service, "refused")
    assert (refused.status, refused.json()["code"]) == (503, "no_space")
    assert service.get("/readyz").status == 200
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, unlimited)
    again = service.bulk(long).body.decode().splitlines()
    assert not [each for each in again if "problem" in each]
    assert post(service, "refused").status in (200, 201)
    assert service.get("/v1/health").json()["assertions_count"] == 42
    assert service.stop() == 0
    assert_log_holds(service.folder / "wal", {})


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    """Return a small ext4 disk."""
    made = LoopDisk(tmp_path / "disk", 64)
    yield made
    made.unmount()


def stopped_or_refusing(service: ServiceProcess) -> bool:
    """Say whether the process ended as it should, or refuses writes and still reads."""
    if service.process and (status := service.process.poll()) is not None:
        assert status == 74
        assert service.log.splitlines()[-1].startswith("stemedb-api: storage failed")
        return True
    with suppress(OSError):
        reply = post(service, f"p{time.monotonic_ns()}")
        if reply.status == 503 and reply.json()["code"] in ("disk_floor", "no_space"):
            assert_reads_go_on(service)
            return True
    return False


def test_file_system_that_fails_under_load_loses_nothing(
    disk: LoopDisk, server: ServerFactory, tmp_path: Path
) -> None:
    service = server(folder=disk.folder, start=False)
    service.log_path = tmp_path / "service.log"
    service.env["STEMEDB_DISK_FLOOR_MB"] = "1"
    service.start()
    ledger = tmp_path / "ledger"
    writers = Writers(service.port, ledger)
    try:
        while len(acknowledged(ledger)) < 100:
            time.sleep(0.01)
        assert post(service, "first").status == 201
        disk.abort()
        # A sync that was under way fails, and with it the process; otherwise it is like a full disk.
        deadline = time.monotonic() + WAIT_S
        while not stopped_or_refusing(service):
            assert time.monotonic() < deadline
        if service.process and service.process.poll() is None:
            service.kill()
        told = acknowledged(ledger)
        disk.unmount()
        disk.check()
        # A server that may not write its folders says so and ends.
        disk.mount("ro")
        service.start(wait=False)
        assert service.wait() in (74, 78)
        assert "Read-only file system" in service.log.splitlines()[-1]
        disk.unmount()
        disk.mount()
        service.start()
        assert_server_shows(service.port, told)
        writers.stop()
    finally:
        writers.kill()
    told = acknowledged(ledger)
    assert service.stop() == 0
    assert_log_holds(disk.folder / "wal", told)
