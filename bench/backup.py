"""What backups cost and what they give back: `python -m bench.backup [CLAIMS ...]`.

For each number of claims: an archive follows an engine that is written to steadily; windows with a backup
being made and windows without one take turns (p99 of a write in both, seconds and size of a backup); how far
the archive is behind each write; verification, twice; then the engine's disk dies in the middle of its work:
claims and seconds lost (RPO), and the time until a restored engine takes writes again (RTO); at last a drill
beside a service. Prints a table and a line of JSON. The default is 10,000 claims; the long form is
`10000 100000 1000000`, which needs about 6 GiB of disk and half an hour.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.recovery import claim, fill, settings_in
from stemedb.backup.layout import STATE_NAME, ArchiveState, read_state
from stemedb.engine import Engine, open_engine

CLAIMS_DEFAULT = 10_000
WRITERS = 4
PAUSE_S = 0.004  # of each writer between two claims: a steady load, not a race
WINDOWS = 4  # of each kind, taking turns
WINDOW_S = 3.0
LOOK_S = 0.01
FIRST_NUMBER = 50_000_000
_loads = itertools.count()


class Load:
    """Writers that say one claim after the other, and note when each was acknowledged."""

    def __init__(self, engine: Engine) -> None:
        """Begin."""
        self.taken: list[float] = []
        self.acknowledged: list[tuple[int, float]] = []
        self._engine = engine
        self._stop = threading.Event()
        # New claims each time: one that exists already costs no write.
        numbers = [itertools.count(FIRST_NUMBER + next(_loads) * 1_000_000) for _ in range(WRITERS)]
        self._threads = [threading.Thread(target=self._write, args=(each,)) for each in numbers]
        for thread in self._threads:
            thread.start()

    def _write(self, numbers: Iterator[int]) -> None:
        while not self._stop.is_set():
            one = claim(next(numbers))
            begin = time.perf_counter()
            outcome = self._engine.submit_one(one)
            self.taken.append(time.perf_counter() - begin)
            self.acknowledged.append((outcome.seq, time.time()))
            time.sleep(PAUSE_S)

    def stop(self) -> int:
        """End; return the last record that was acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return max(seq for seq, _ in self.acknowledged)


class Watch:
    """Notes when the archive came to hold what."""

    def __init__(self, wal: Path) -> None:
        """Begin."""
        self._path = wal / STATE_NAME
        self._seen: list[tuple[int, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(LOOK_S):
            state = read_state(self._path, ArchiveState)
            if state and (not self._seen or state.head.seq > self._seen[-1][0]):
                self._seen.append((state.head.seq, time.time()))

    def lags(self, acknowledged: list[tuple[int, float]]) -> list[float]:
        """Return for each write that was archived how many seconds later that was."""
        self._stop.set()
        self._thread.join()
        found, seen = [], iter(self._seen)
        archived, at = next(seen, (0, 0.0))
        for seq, acknowledged_at in sorted(acknowledged):
            while archived < seq:
                archived, at = next(seen, (sys.maxsize, 0.0))
            if at:
                found.append(max(0.0, at - acknowledged_at))
        return found


class Bench:
    """One folder with an engine, its archive and its backups."""

    def __init__(self, folder: Path) -> None:
        """Lay it out."""
        self.folder = folder
        self.backups = folder / "backups"
        self.backups.mkdir()
        self.env = {**os.environ, "STEMEDB_KEY_DIR": str(folder / "keys")}

    def data(self, name: str) -> tuple[str, ...]:
        """Return the options for the data folders below `name`."""
        return ("--wal-dir", str(self.folder / name / "wal"), "--db-dir", str(self.folder / name / "db"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        command = [sys.executable, "-m", "stemedb.cli.main", *arguments]
        return subprocess.Popen(command, env=self.env, text=True, stdout=subprocess.PIPE)

    def run(self, *arguments: str) -> tuple[float, Any]:
        """Run a command; return its seconds and what it printed."""
        begin = time.perf_counter()
        process = self.start(*arguments, "--json")
        printed, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{arguments} ended with {process.returncode}")
        return time.perf_counter() - begin, json.loads(printed)

    def measure(self, claims: int) -> dict[str, float]:
        """Measure with so many claims to begin with."""
        home = self.folder / "home"
        with closing(open_engine(settings_in(home)._replace(key_dir=self.folder / "keys"))) as engine:
            fill(engine, claims)
            archive = self.start("archive", "--to", str(self.backups / "wal"), *self.data("home"))
            _, made = self.run("backup", "create", "--to", str(self.backups), *self.data("home"))
            quiet, busy, seconds = self._take_turns(engine)
            watch, load = Watch(self.backups / "wal"), Load(engine)
            time.sleep(WINDOW_S)
            archive.send_signal(signal.SIGKILL)  # the disk dies: nothing is archived any more
            died_at, acknowledged = time.time(), list(load.acknowledged)
            load.stop()
            archive.communicate()
            lags = watch.lags(acknowledged)
        key = self.run("backup", "key", *self.data("home"))[1]["server_key"]
        trusting = ("--from", str(self.backups), "--trust-key", key)
        first_s, _ = self.run("backup", "verify", *trusting)
        second_s, _ = self.run("backup", "verify", *trusting)
        begin = time.perf_counter()
        _, restored = self.run("restore", *trusting, *self.data("new"))
        with closing(open_engine(settings_in(self.folder / "new"))) as engine:
            engine.submit_one(claim(FIRST_NUMBER - 1))
            rto_s = time.perf_counter() - begin
        lost = [at for seq, at in acknowledged if seq > restored["seq"]]
        drill_s = self._drill(key)
        return {
            "backup_s": statistics.median([made["seconds"], *seconds]),
            "backup_bytes": made["size_bytes"],
            "write_p99_quiet_ms": p99(quiet) * 1000,
            "write_p99_backup_ms": p99(busy) * 1000,
            "write_p99_ratio": p99(busy) / p99(quiet),
            "archive_lag_p99_s": p99(lags),
            "verify_first_s": first_s,
            "verify_second_s": second_s,
            "rto_s": rto_s,
            "rpo_claims": len(lost),
            "rpo_s": died_at - min(lost) if lost else 0.0,
            "drill_s": drill_s,
        }

    def _drill(self, key: str) -> float:
        """Start a service and its archive on the data once more; return a drill's seconds."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.env["STEMEDB_BIND_ADDR"] = f"127.0.0.1:{free.getsockname()[1]}"
        names = ("STEMEDB_WAL_DIR", "STEMEDB_DB_DIR")
        env = {**self.env, **dict(zip(names, self.data("home")[1::2], strict=True))}
        service = subprocess.Popen(
            [sys.executable, "-m", "stemedb.cli.server"], env=env, stderr=subprocess.DEVNULL
        )
        archive = self.start("archive", "--to", str(self.backups / "wal"), *self.data("home"))
        try:
            while self.start("status", "--url", f"http://{self.env['STEMEDB_BIND_ADDR']}").wait():
                time.sleep(1)
            options = ("--from", str(self.backups), "--trust-key", key, *self.data("home"))
            return self.run("drill", "--scratch", str(self.folder / "scratch"), *options)[0]
        finally:
            for process in (service, archive):
                process.terminate()
                process.wait()

    def _take_turns(self, engine: Engine) -> tuple[list[float], list[float], list[float]]:
        """Write without a backup and beside one, in turns; return both's times, and the backups' seconds."""
        quiet: list[float] = []
        busy: list[float] = []
        seconds: list[float] = []
        for _ in range(WINDOWS):
            load = Load(engine)
            time.sleep(WINDOW_S)
            load.stop()
            quiet.extend(load.taken)
            load = Load(engine)
            until = time.perf_counter() + WINDOW_S
            while time.perf_counter() < until:
                _, made = self.run("backup", "create", "--to", str(self.backups), *self.data("home"))
                seconds.append(made["seconds"])
            load.stop()
            busy.extend(load.taken)
        return quiet, busy, seconds


def p99(taken: list[float]) -> float:
    """Return what 99 of 100 stayed within."""
    return sorted(taken)[len(taken) * 99 // 100] if taken else 0.0


def main(arguments: list[str]) -> int:
    """Measure, print a table and one line of JSON."""
    figures: dict[str, dict[str, float]] = {}
    for claims in [int(each) for each in arguments] or [CLAIMS_DEFAULT]:
        with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
            figures[f"{claims} claims"] = Bench(Path(name).resolve()).measure(claims)
    for title, found in figures.items():
        for key, value in found.items():
            print(f"{title:<18}{key:<24}{value:>16.3f}", flush=True)
    print(json.dumps({"bench": "backup", **figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
