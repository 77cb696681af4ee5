"""Starting the command line as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemedb.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.e2e.service import ServiceProcess

BIN = Path(sys.executable).parent
WAIT_S = 30.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as `condition` holds; fails the test after `WAIT_S`."""
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not {what} within {WAIT_S} s"
        time.sleep(0.01)


def claims_count(service: ServiceProcess) -> int:
    """Ask a service how many claims it holds."""
    with Client(service.url) as client:
        return client.health().assertions_count


class Cli:
    """The command line of one user: a home of its own, an environment with nothing else in it."""

    def __init__(self, home: Path, url: str | None) -> None:
        """Use `home`, made if missing, and the server at `url`."""
        home.mkdir(exist_ok=True)
        self.home = home
        self.keyring = home / ".config" / "stemedb" / "keys.json"
        self.profiles = home / ".config" / "stemedb" / "profiles.ini"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "120"}
        if url is not None:
            self.env["STEMEDB_URL"] = url

    def __call__(
        self,
        *arguments: str | Path,
        code: int = 0,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """Run one command that must end with `code`; return what it printed to standard output."""
        done = self.run(*arguments, env=env, cwd=cwd)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout

    def run(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end; it must never print a traceback."""
        done = subprocess.run(
            [BIN / "stemedb", *arguments],
            env={**self.env, **(env or {})},
            cwd=cwd or self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments: str | Path, code: int = 0) -> Any:  # noqa: ANN401 - any JSON
        """Run one command with `--json` and return what it printed."""
        return json.loads(self(*arguments, "--json", code=code))

    def error(self, *arguments: str | Path, code: int, env: Mapping[str, str] | None = None) -> str:
        """Run one command that must fail with `code`; return its one line."""
        done = self.run(*arguments, env=env)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert done.stderr.startswith("stemedb: "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start one command whose standard input, output and error the test holds."""
        # A shell that ran the tests in the background would have handed down an ignored SIGINT.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(
                [BIN / "stemedb", *arguments],
                env=self.env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
