"""The service's log lines for people: where they come from, which are wanted, how one is shown."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from stemedb import limits
from stemedb.cli.output import safe, short
from stemedb.errors import BadSettings

LEVELS = ("debug", "info", "warning", "error", "critical")
SLOW = "slow query"
_KNOWN = ("time", "level", "event")
_REQUEST = ("method", "path", "status", "duration_ms", "bytes")


class Wanted(NamedTuple):
    """Which lines are shown: from a level on, of one request, slow questions only."""

    level: str = "debug"
    request_id: str | None = None
    slow: bool = False

    def has(self, line: dict[str, Any]) -> bool:
        """Say whether a line is wanted."""
        level = line.get("level")
        return (
            (level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.level))
            and (self.request_id is None or line.get("request_id") == self.request_id)
            and (not self.slow or line.get("event") == SLOW)
        )

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self == Wanted()


def lines_of_file(path: str, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a file, of standard input for `-`; go on with those to come if told to `follow`."""
    if path == "-":
        yield from sys.stdin
        return
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            yield from _growing(file) if follow else file
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error.strerror}", hint="Name another --file.") from error


def _growing(file: IO[str]) -> Iterator[str]:
    rest = ""
    while True:
        part = file.readline()
        if part:
            rest += part
            if rest.endswith("\n"):
                yield rest
                rest = ""
        else:
            time.sleep(limits.LOG_FOLLOW_S)


def lines_of_journal(unit: str, *, count: int, since: str | None, follow: bool) -> Iterator[str]:
    """Yield a unit's lines from the journal; raises `BadSettings` where there is none."""
    command = ["journalctl", "--output=cat", "--no-pager", f"--unit={unit}", f"--lines={count}"]
    command += [f"--since={since}"] if since else []
    command += ["--follow"] if follow else []
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace")  # noqa: S603 - options with =, no shell
    except OSError as error:
        hint = "Is this the server's host? Elsewhere name a --file; - is standard input."
        raise BadSettings(f"journalctl cannot be run: {error.strerror}", hint=hint) from error
    with process:
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            yield from process.stdout
        finally:
            process.terminate()
    if process.returncode > 0:
        raise BadSettings("journalctl failed, see above", hint="Run it as root, or in group systemd-journal.")


def parsed(text: str) -> dict[str, Any] | None:
    """Return a line of the log; None for what is none, such as the last words of a process."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def shown(line: dict[str, Any]) -> str:
    """Return a line as a person reads it."""
    level, event = str(line.get("level", "")), str(line.get("event", ""))
    begin = f"{str(line.get('time', ''))[:23]:<23} {level:<8} {event}"
    rest = {name: value for name, value in line.items() if name not in _KNOWN}
    if event == "request" and set(_REQUEST) <= set(rest):
        method, path, status, duration_ms, count = (rest.pop(name) for name in _REQUEST)
        rest.pop("endpoint", None)
        begin += f" {method} {path} {status} in {duration_ms} ms, {count} bytes"
    trace = str(rest.pop("exception", ""))
    text = short(begin) + "".join(f" {safe(name)}={_value(value)}" for name, value in rest.items())
    return text + "".join(f"\n    {safe(each)}" for each in trace.splitlines())


def _value(value: object) -> str:
    if isinstance(value, str) and value and not set(value) & set(' "='):
        return safe(value)
    return safe(json.dumps(value, ensure_ascii=False))
