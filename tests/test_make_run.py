"""`make run`, as a newcomer meets it, and the commands that README shows."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.service import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
END_TIMEOUT_S = 30
SHOWN = re.compile(r"^<!-- run -->\n```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


@contextmanager
def make_run(data: Path, port: int) -> Iterator[list[str]]:
    """Run `make run` until it invites to try; yields what it printed, then presses Ctrl-C."""
    with subprocess.Popen(
        ["make", "--no-print-directory", "run", f"PORT={port}", f"DATA={data}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        printed: list[str] = []
        try:
            for line in process.stdout:
                printed.append(line)
                if line.startswith("On this port the commands need"):
                    break
            else:
                raise AssertionError("".join(printed))
            yield printed
            # A terminal sends Ctrl-C to everything in its foreground.
            os.killpg(process.pid, signal.SIGINT)
            process.wait(END_TIMEOUT_S)
            assert "Stopped; the data stays in" in process.stdout.read()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


def claims_count(port: int) -> int:
    """Ask the running service how many claims it holds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/health", timeout=10) as reply:
        return int(json.load(reply)["assertions_count"])


def run_shown(command: str, port: int) -> str:
    """Run a command that was shown to the reader; return all that it printed."""
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "STEMEDB_URL": f"http://127.0.0.1:{port}"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_run_loads_the_sample_once_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("STEMEDB_KEYRING", str(tmp_path / "keys.json"))
    with make_run(tmp_path, port) as printed:
        first = claims_count(port)
        assert first >= 150
        shown = [line.strip(" $\n") for line in printed if re.match(r" +(\$ )?(\.venv/bin/)?stemedb ", line)]
        assert len(shown) == 3
        for command in shown:
            assert run_shown(command, port)
        readme = (ROOT / "README.md").read_text()
        for block in SHOWN.findall(readme):
            check_block(block, port)
    with make_run(tmp_path, port):
        assert claims_count(port) >= first


def check_block(block: str, port: int) -> None:
    """Run a block's commands; each printed line that it shows must appear, `...` stands for any."""
    for part in block.split("$ ")[1:]:
        command, _, expected = part.partition("\n")
        output = run_shown(command, port)
        for line in expected.splitlines():
            pattern = r"\s+".join(re.escape(word) for word in line.split()).replace(r"\.\.\.", ".*")
            assert re.search(pattern, output), f"{command}\nshows no {line!r}:\n{output}"


def test_run_says_in_one_line_that_the_port_is_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            ["tools/run"],
            cwd=ROOT,
            env={**os.environ, "PORT": str(port), "DATA": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 75
    assert re.fullmatch(rf"Port {port} is in use: .*\n", done.stderr)
