"""One program that belongs to a machine, found again by its pid file from another process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

END_TIMEOUT_S = 20


class BrokenMachine(RuntimeError):
    """A machine, or a program behind it, does not do what it must; the message holds its last words."""


class Process:
    """A program whose pid file and output lie in `folder`, and whose command line names that folder."""

    def __init__(self, folder: Path, name: str) -> None:
        """Nothing is started yet."""
        self._folder = folder
        self._name = name
        self.pid_file = folder / f"{name}.pid"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str]) -> None:
        """Start the program; it must not put itself into the background."""
        if self.alive:
            raise BrokenMachine(f"{self._name} of {self._folder} runs already")
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.pid_file.write_text(str(self._child.pid))

    def launch(self, command: list[str]) -> None:
        """Run a program that puts itself into the background, once it is ready, and writes `pid_file`."""
        if self.alive:
            raise BrokenMachine(f"{self._name} of {self._folder} runs already")
        with self._log.open("ab") as log:
            done = subprocess.run(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )
        if done.returncode:
            raise BrokenMachine(f"{self._name} does not start: {self.last_words}")

    @property
    def alive(self) -> bool:
        """Whether it runs: a pid that another program got since then does not count."""
        return self._pid() is not None

    @property
    def last_words(self) -> str:
        """The end of what it has written."""
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""

    def kill(self) -> None:
        """Send SIGKILL, if it runs; does not wait."""
        pid = self._pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self) -> None:
        """Wait for its end; raises `BrokenMachine` if it takes too long."""
        deadline = time.monotonic() + END_TIMEOUT_S
        while self.alive:
            if time.monotonic() > deadline:
                raise BrokenMachine(f"{self._name} of {self._folder} does not end")
            time.sleep(0.02)
        self.pid_file.unlink(missing_ok=True)

    @property
    def _log(self) -> Path:
        return self._folder / f"{self._name}.log"

    def _pid(self) -> int | None:
        if self._child is not None:  # our own: no other program can have its pid while we have not asked
            return self._child.pid if self._child.poll() is None else None
        with suppress(OSError, ValueError):
            pid = int(self.pid_file.read_text())
            if str(self._folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None
