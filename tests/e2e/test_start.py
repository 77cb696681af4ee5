"""The process starts, becomes ready, and ends as documented: statuses, last lines, signs of life."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import claim, line

PILOT = """\
STEMEDB_BIND_ADDR=0.0.0.0:{port}
STEMEDB_WAL_DIR={folder}/wal
STEMEDB_DB_DIR={folder}/db
STEMEDB_METER_ENABLED=true
RUST_LOG=info
"""


def last_line(service: ServiceProcess) -> str:
    assert "Traceback" not in service.log
    return service.log.splitlines()[-1]


def run_to_end(service: ServiceProcess, status: int) -> str:
    """Start a service that cannot go on; return its last line."""
    assert service.start(wait=False).wait() == status, service.log
    return last_line(service)


def test_version_and_help() -> None:
    command = [sys.executable, "-m", "stemedb.cli.server"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.endswith("stemedb-api 0.1.0\n")
    help_text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "Example:" in help_text.stdout


def test_five_lines_of_the_pilot_start_it(server: ServerFactory) -> None:
    service = server(start=False)
    text = PILOT.format(port=service.port, folder=service.folder)
    service.env = dict(each.split("=", 1) for each in text.splitlines())
    service.start()
    assert service.get("/v1/health").json()["status"] == "healthy"
    assert service.get("/v1/meter/quota").json()["caller"]["limit"] == 100_000


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"STEMEDB_WAL_DIRS": "x"}, "STEMEDB_WAL_DIR"),
        ({"STEMEDB_BIND_ADDR": "nowhere"}, "STEMEDB_BIND_ADDR"),
        ({"STEMEDB_BIND_ADDR": "192.0.2.1:18180"}, "STEMEDB_BIND_ADDR"),
        ({"STEMEDB_CONTENT_DEFENSE_ENABLED": "maybe"}, "must be true or false"),
        ({"STEMEDB_WAL_DIR": "/dev/null/wal"}, "/dev/null/wal"),
        ({"STEMEDB_DB_DIR": "/dev/null/db"}, "/dev/null/db"),
        ({"STEMEDB_KEY_DIR": "/dev/null/keys"}, "/dev/null/keys"),
        ({"RUST_LOG": "loud"}, "RUST_LOG"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "named",
)
def test_bad_settings_end_with_78(server: ServerFactory, env: dict[str, str], named: str) -> None:
    assert named in run_to_end(server(start=False, env=env), 78)


def test_busy_port_ends_with_75(server: ServerFactory) -> None:
    first = server()
    second = server(start=False)
    second.env["STEMEDB_BIND_ADDR"] = f"127.0.0.1:{first.port}"
    assert "in use" in run_to_end(second, 75)


def test_second_server_on_the_same_data_ends_with_75(server: ServerFactory) -> None:
    first = server()
    second = server(
        start=False, env={name: first.env[name] for name in ("STEMEDB_WAL_DIR", "STEMEDB_DB_DIR")}
    )
    assert str(first.pid) in run_to_end(second, 75)
    assert first.post("/v1/assert", claim()).status == 201


def test_corrupt_log_ends_with_65(server: ServerFactory) -> None:
    service = server()
    for number in range(3):
        service.bulk([line(number)])
    service.stop()
    (segment, *_) = sorted((service.folder / "wal").glob("*.wal"))
    content = bytearray(segment.read_bytes())
    content[content.index(b"fda://drug/1")] ^= 1
    segment.write_bytes(content)
    for file in (service.folder / "db").glob("*.mdb"):
        file.unlink()
    assert segment.name in run_to_end(service, 65)


def test_passed_socket_with_another_address_is_refused(server: ServerFactory) -> None:
    service = server(start=False, held_socket=True)
    service.env["STEMEDB_BIND_ADDR"] = "127.0.0.1:1"
    assert "STEMEDB_BIND_ADDR" in run_to_end(service, 78)


def test_passed_socket_is_used(server: ServerFactory) -> None:
    service = server(held_socket=True)
    assert '"adopted":true' in service.log
    assert service.get("/readyz").json() == {"status": "ready", "failed": {}}


def test_foreign_listen_variables_are_ignored(server: ServerFactory) -> None:
    service = server(env={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    assert '"adopted":false' in service.log


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Return the socket on which a service manager hears."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(15)
        yield sock


def heard_until(manager: socket.socket, wanted: str) -> list[str]:
    heard: list[str] = []
    while wanted not in heard:
        heard += manager.recv(4096).decode().splitlines()
    return heard


def test_manager_hears_ready_watchdog_and_stopping(server: ServerFactory, manager: socket.socket) -> None:
    env = {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "600000"}
    service = server(env=env)
    heard_until(manager, "READY=1")
    heard_until(manager, "WATCHDOG=1")
    heard_until(manager, "WATCHDOG=1")
    service.stop()
    heard_until(manager, "STOPPING=1")


def arranged(server: ServerFactory, folder: Path, **env: str) -> ServiceProcess:
    return server(start=False, folder=folder, env=env, program=("-m", "tests.e2e.arranged", str(folder)))


def test_long_start_waits_then_says_503(
    server: ServerFactory, manager: socket.socket, tmp_path: Path
) -> None:
    service = arranged(server, tmp_path, NOTIFY_SOCKET=str(manager.getsockname())).start(wait=False)
    heard = heard_until(manager, "STATUS=starting: replaying 12 of 100")
    assert any(each.startswith("EXTEND_TIMEOUT_USEC=") for each in heard)
    began = time.monotonic()
    health = service.get("/v1/health")  # waits in the listen queue until the grace is over
    assert time.monotonic() - began > 1
    assert (health.status, health.json()["status"]) == (503, "starting")
    assert "replaying 12 of 100" in health.json()["checks"]["state"]
    assert service.get("/livez").status == 200
    ready = service.get("/readyz")
    assert (ready.status, ready.json()["status"]) == (503, "not ready")
    refused = service.post("/v1/assert", claim())
    assert (refused.status, refused.json()["code"]) == (503, "starting")
    assert int(refused.headers["Retry-After"]) >= 1
    (tmp_path / "open").touch()
    heard_until(manager, "READY=1")
    assert service.post("/v1/assert", claim()).status == 201


def test_stop_while_starting_ends_with_0(server: ServerFactory, tmp_path: Path) -> None:
    service = arranged(server, tmp_path).start(wait=False)
    while "listening" not in service.log:
        time.sleep(0.01)
    assert service.stop() == 0


def test_failed_storage_ends_the_process_with_a_clear_line(server: ServerFactory, tmp_path: Path) -> None:
    (tmp_path / "open").touch()
    service = arranged(server, tmp_path).start()
    (tmp_path / "fail").touch()
    while not (service.log_path.exists() and '"event":"ending"' in service.log):
        time.sleep(0.005)
    assert service.wait() == 74
    assert "the disk is gone" in last_line(service)
