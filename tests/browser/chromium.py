"""A headless Chromium, spoken to over a pair of pipes (DevTools protocol: JSON between zero bytes)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any, NamedTuple

START = 'exec "$@" 3<&"$COMMANDS" 4>&"$EVENTS"'
"""Chromium wants its pipes as descriptors 3 and 4."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
END_TIMEOUT_S = 30


class Visit(NamedTuple):
    """What came of opening a page: what it asked for, and what went wrong in it."""

    requests: list[str]
    errors: list[str]


class Browser:
    """One browser with one page."""

    def __init__(self, commands: int, events: int) -> None:
        """Speak through the descriptor `commands`, listen to `events`."""
        self._commands = os.fdopen(commands, "wb", buffering=0)
        self._events = os.fdopen(events, "rb")
        self._count = 0
        self._session: str | None = None
        self.visit = Visit([], [])
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the protocol; events that come meanwhile go into `visit`."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self._note(answer.get("method", ""), answer.get("params", {}))
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str) -> None:
        """Go to `url`."""
        assert "errorText" not in self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page says
        """Return what an expression is in the page; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def _next(self) -> dict[str, Any]:
        read = bytearray()
        while (byte := self._events.read(1)) != b"\0":
            assert byte, "the browser has gone"
            read += byte
        message: dict[str, Any] = json.loads(read)
        return message

    def _note(self, event: str, params: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.visit.requests.append(params["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.visit.errors.append(json.dumps(params["exceptionDetails"]))
        elif event == "Log.entryAdded" or (
            event == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert")
        ):
            self.visit.errors.append(json.dumps(params))

    def close(self) -> None:
        """Close both pipes, at which the browser ends."""
        self._commands.close()
        self._events.close()


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Run a browser with a profile of its own; it can resolve no host name but this machine's."""
    name = which("chromium")
    assert name, "chromium is missing: apt-get install the packages of molecule/packages.txt"
    command_end, commands = os.pipe()
    events, event_end = os.pipe()
    arguments = (*FLAGS, f"--user-data-dir={profile}")
    process = subprocess.Popen(
        ["bash", "-c", START, "chromium", name, *arguments],
        env={**os.environ, "COMMANDS": str(command_end), "EVENTS": str(event_end), "HOME": str(profile)},
        pass_fds=(command_end, event_end),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(command_end)
    os.close(event_end)
    browser = Browser(commands, events)
    try:
        yield browser
    finally:
        browser.close()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
