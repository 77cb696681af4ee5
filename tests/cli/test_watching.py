"""What operators watch: the log for people, the live screen on a real terminal, the status."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from stemedb.cli.figures import Look, figures_of
from stemedb.client import Client
from stemedb.model.keys import new_secret
from tests.cli.running import BIN, Cli, wait_until
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import claim

TIME = "2026-11-25T01:02:03.123456Z"
REQUEST = {"request_id": "r-1", "method": "GET", "path": "/v1/query", "endpoint": "/v1/query", "status": 200}
LINES = [
    json.dumps(
        REQUEST
        | {"bytes": 12, "duration_ms": 1.5, "key": "ab", "event": "request", "level": "info", "time": TIME}
    ),
    json.dumps(
        {
            "request_id": "r-2",
            "plan": ["walk", "end"],
            "event": "slow query",
            "level": "warning",
            "time": TIME,
        }
    ),
    '{"event":"x\\u001b[31m","level":"error","time":"t","detail":"a b","exception":"Traceback\\n  line"}',
    "stemedb-api: storage failed\x1b[0m",
]


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    path = tmp_path / "service.log"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_lines_are_shown_for_people(cli: Cli, log_file: Path) -> None:
    assert cli("logs", "--file", log_file).splitlines() == [
        f"{TIME[:23]} info     request GET /v1/query 200 in 1.5 ms, 12 bytes request_id=r-1 key=ab",
        f'{TIME[:23]} warning  slow query request_id=r-2 plan=["walk", "end"]',
        't                       error    x\\x1b[31m detail="a b"',
        "    Traceback",
        "      line",
        "stemedb-api: storage failed\\x1b[0m",
    ]


def test_lines_are_chosen(cli: Cli, log_file: Path) -> None:
    chosen = {
        ("--level", "warning"): ["slow query", "x\x1b[31m"],
        ("--level", "error"): ["x\x1b[31m"],
        ("--slow",): ["slow query"],
        ("--request-id", "r-1"): ["request"],
        ("--request-id", "r-1", "--slow"): [],
    }
    for options, expected in chosen.items():
        found = cli("logs", "--file", log_file, "--json", *options)
        assert [json.loads(line)["event"] for line in found.splitlines()] == expected


def test_lines_come_through_a_pipe(cli: Cli) -> None:
    done = subprocess.run(
        [BIN / "stemedb", "logs", "--file", "-"],
        env=cli.env,
        input=LINES[0] + "\n[" * 3,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "GET /v1/query 200" in done.stdout


def test_a_file_that_is_not_there_is_one_line(cli: Cli, tmp_path: Path) -> None:
    assert "cannot be read" in cli.error("logs", "--file", tmp_path / "none", code=78)
    assert "journalctl" in cli.error("logs", code=78, env={"PATH": str(tmp_path)})


def test_the_journal_is_asked_plainly(cli: Cli, tmp_path: Path) -> None:
    # A stand-in for the journal: whether one runs here, and what is in it, is not ours to decide.
    journal = tmp_path / "journalctl"
    journal.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\ncat <<"X"\n{LINES[1]}\nX\n')
    journal.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert "slow query" in cli("logs", "--lines", "5", "--since", "1 hour ago; x", env=env)
    asked = (tmp_path / "asked").read_text()
    assert asked == "--output=cat --no-pager --unit=stemedb-api --lines=5 --since=1 hour ago; x\n"
    journal.write_text("#!/bin/sh\nexit 1\n")
    assert "journalctl failed" in cli.error("logs", code=78, env=env)


def test_a_file_is_followed_until_interrupted(cli: Cli, log_file: Path) -> None:
    process = cli.start("logs", "--file", log_file, "--follow", "--slow")
    assert process.stdout is not None
    assert "r-2" in process.stdout.readline()
    with log_file.open("a") as file:
        file.write(LINES[1].replace("r-2", "r-3")[:50])
        file.flush()
        file.write(LINES[1].replace("r-2", "r-3")[50:] + "\n")
    assert "r-3" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.communicate()


def test_the_services_own_lines_can_be_read(own_cli: Cli, own_service: ServiceProcess) -> None:
    own_service.get("/v1/concepts", {"X-Request-Id": "mine"})
    own_service.stop()
    shown = own_cli("logs", "--file", own_service.log_path, "--request-id", "mine")
    assert "request GET /v1/concepts 200 in " in shown


def test_top_prints_once_in_a_pipe(own_cli: Cli, own_service: ServiceProcess) -> None:
    own_service.post("/v1/assert", claim())
    shown = own_cli("top", "--interval-s", "0.1")
    for part in ("server ", "now ", "answers ", "queues ", "storage ", "guards ", "process "):
        assert re.search(f"^{part}", shown, re.MULTILINE), shown
    assert re.search(r"log +at 2, \d segments", shown), shown
    found = own_cli.json("top", "--interval-s", "0.1")
    assert (found["status"], found["log_seq"], found["view_seq"], found["claims_count"]) == (
        "healthy",
        2,
        2,
        1,
    )
    assert found["rates"]["requests"] >= 0
    assert found["memory_bytes"] > 0
    assert found["connections_max"] > found["connections"] > 0


def test_rates_are_those_between_two_looks() -> None:
    def seen(at_s: float, count: float) -> Look:
        by = {
            ("stemedb_requests_rejected_total", "reason", "rate_limit"): count / 2,
            ("stemedb_http_requests_total", "status", "503"): count / 4,
            ("stemedb_http_requests_total", "status", "200"): count,
        }
        return Look(at_s, {"stemedb_http_requests_total": count, "stemedb_queries_total": count}, by)

    rates = figures_of(seen(12.0, 30.0), seen(10.0, 10.0)).rates
    assert rates is not None
    assert (rates.requests, rates.questions, rates.server_errors) == (10.0, 10.0, 2.5)
    assert rates.refused == {"rate_limit": 5.0}
    assert rates.sync_ms is None
    restarted = figures_of(seen(12.0, 4.0), seen(10.0, 10.0)).rates
    assert restarted is not None
    assert restarted.requests == 2.0


def test_top_renews_itself_on_a_terminal_until_interrupted(own_cli: Cli, own_service: ServiceProcess) -> None:
    own_service.post("/v1/assert", claim())
    ours, theirs = pty.openpty()
    env = {**own_cli.env, "TERM": "xterm-256color"}
    command = [str(BIN / "stemedb"), "top", "--interval-s", "0.1"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    try:
        process = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    finally:
        signal.signal(signal.SIGINT, before)
    os.close(theirs)
    seen = bytearray()

    def read() -> None:
        with suppress(OSError):  # Linux's way of saying that the other side is closed
            while part := os.read(ours, 65536):
                seen.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: seen.count(b"breakers open") >= 3, "drawn three times")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    reader.join()
    os.close(ours)
    assert b"\x1b[?1049h" in seen  # a screen of its own,
    assert b"\x1b[?1049l" in seen  # and the user's back
    assert b"healthy" in seen


def test_top_ends_when_the_server_does(own_cli: Cli, own_service: ServiceProcess) -> None:
    own_service.stop()
    assert "no answer" in own_cli.error("top", "--once", code=75)


def test_status_shows_what_is_left(own_cli: Cli, own_service: ServiceProcess) -> None:
    own_service.post("/v1/assert", claim())
    shown = own_cli("status")
    for text in (
        "disk free",
        "breakers open",
        "connections",
        "0 records behind the log",
        "no questions lately",
    ):
        assert text in shown
    assert len(shown.splitlines()) <= 24
    with Client(own_service.url) as client:
        client.query("fda://drug/semaglutide", "nausea_rate")
    assert own_cli.json("status")["figures"]["latency"]["p99_ms"] > 0


def test_status_does_without_figures_where_the_key_may_not(tmp_path: Path) -> None:
    env = {"STEMEDB_AUTH_ENABLED": "true", "STEMEDB_ROOT_API_KEY": new_secret()}
    service = ServiceProcess(tmp_path, env=env).start()
    try:
        cli = Cli(tmp_path / "home", service.url)
        assert "not shown" in cli("status")
        assert cli.json("status")["figures"] is None
    finally:
        service.close()
