"""What a well-behaved client sees while others attack: latencies in turns of quiet and attack, and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median
from typing import NamedTuple, Protocol

from tests.e2e.signing import claim

ROOT = Path(__file__).parents[2]
ROUNDS = 2
REQUESTS = 120  # of one turn, at least
TURN_S = 0.5  # that a turn lasts, at least: an attack takes effect while it goes on
ATTEMPTS_MAX = 5  # of one request; a connection that was dropped to make room is made again, as clients do


class Attacked(Protocol):
    """A running service."""

    @property
    def port(self) -> int:
        """Where it listens on loopback."""

    @property
    def pid(self) -> int:
        """Its process."""


class Seen(NamedTuple):
    """What one attack did: p99 (seconds) in quiet and under attack, by round; memory; who attacked."""

    quiet_s: tuple[float, ...]
    attack_s: tuple[float, ...]
    peak_bytes: int
    connections: int

    @property
    def quiet_p99_s(self) -> float:
        """The middle of the rounds' p99 in quiet."""
        return median(self.quiet_s)

    @property
    def attack_p99_s(self) -> float:
        """The middle of the rounds' p99 under attack."""
        return median(self.attack_s)


@contextmanager
def attack(name: str, port: int) -> Iterator[int]:
    """Attack while the block runs; gives the number of connections that the attacker holds."""
    command = [sys.executable, "-m", "tests.e2e.attackers", name, str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            word, count = process.stdout.readline().split()
            assert word == "ready"
            yield int(count)
        finally:
            process.kill()


class Client:
    """A client that asks and asserts, on a kept connection and on new ones."""

    def __init__(self, service: Attacked) -> None:
        """Keep one connection to `service`."""
        self._port = service.port
        self._kept = HTTPConnection("127.0.0.1", self._port, timeout=30)
        self._said = json.dumps(claim()).encode()

    def once(self, number: int) -> float:
        """Make one request; return the seconds until it was answered well."""
        began = time.perf_counter()
        for _ in range(ATTEMPTS_MAX):
            with suppress(OSError, HTTPException):
                if number % 3:
                    self._ask(self._kept, number)
                else:
                    with closing(HTTPConnection("127.0.0.1", self._port, timeout=30)) as fresh:
                        self._ask(fresh, number)
                return time.perf_counter() - began
            self._kept.close()
        raise AssertionError("the server did not answer a well-behaved client")

    def close(self) -> None:
        """Close the kept connection."""
        self._kept.close()

    def _ask(self, connection: HTTPConnection, number: int) -> None:
        if number % 5:
            connection.request(
                "GET", "/v1/query?subject=fda%3A%2F%2Fdrug%2Fsemaglutide&predicate=nausea_rate"
            )
        else:
            connection.request("POST", "/v1/assert", self._said, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status in (200, 201), (reply.status, body)

    def p99_s(self) -> float:
        """Return the p99 of one turn's requests, in seconds."""
        took: list[float] = []
        until = time.monotonic() + TURN_S
        while len(took) < REQUESTS or time.monotonic() < until:
            took.append(self.once(len(took)))
        return sorted(took)[int(0.99 * len(took))]


def process_status(pid: int, name: str) -> int:
    """Return a figure of /proc/PID/status; memory in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            number, *unit = value.split()
            return int(number) * (1024 if unit else 1)
    raise KeyError(name)


def measure(service: Attacked, name: str, rounds: int = ROUNDS) -> Seen:
    """Attack a service in turns with quiet; medians over the rounds, so that a busy machine harms both."""
    with closing(Client(service)) as client:
        return _in_turns(client, service, name, rounds)


def _in_turns(client: Client, service: Attacked, name: str, rounds: int) -> Seen:
    client.p99_s()
    quiet, attacked, counts = [], [], [0]
    Path(f"/proc/{service.pid}/clear_refs").write_text("5")  # VmHWM, the peak, begins anew
    for _ in range(rounds):
        quiet.append(client.p99_s())
        with attack(name, service.port) as count:
            counts.append(count)
            attacked.append(client.p99_s())
    return Seen(
        tuple(quiet),
        tuple(attacked),
        process_status(service.pid, "VmHWM"),
        max(counts),
    )
