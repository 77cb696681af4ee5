"""What metrics cost: `python -m bench metrics`, or `python -m bench.metrics CLAIMS` for more than 100,000.

The same questions are put to the application, in process, in turns with counting as it is and with counting
switched off; the ratio is taken turn by turn, the median stands here. Then the exposition: its series, its
bytes, what it takes. All times are the processor's, of the thread that answers: the machine may be busy.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from time import thread_time
from typing import Any
from unittest import mock

from prometheus_client import Counter, Gauge, Histogram

from bench._claims import checked
from bench.log import percentile
from stemedb.api.app import Application
from stemedb.api.service import Service
from stemedb.engine import Engine, EngineSettings, open_engine
from stemedb.errors import StemedbError
from stemedb.guard import Guards, GuardSettings
from stemedb.model import Assertion, ObjectKind, SignedAssertion, Tier, Value
from stemedb.telemetry import LatencyWindow, Telemetry, make_logger

CLAIMS = 100_000
BATCH = 2_000
TURNS = 60
REQUESTS = 200  # in one turn
SCRAPES = 50
NOW_S = 1_760_000_000


def load(engine: Engine, count: int) -> None:
    """Write so many claims, unsigned: what is measured does not look at signatures."""
    waiting = (
        checked(
            SignedAssertion(
                Assertion(f"thing/{number}", "is", Value(ObjectKind.NUMBER, 1.0), 0.9, NOW_S, Tier.EXPERT), ()
            )
        )
        for number in range(count)
    )
    while batch := list(islice(waiting, BATCH)):
        for result in engine.submit(batch):
            if isinstance(result, StemedbError):
                raise result


def request(path: str, query: str = "") -> dict[str, Any]:
    """Return a WSGI environment."""
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }


def answer(application: Application, path: str, query: str = "") -> bytes:
    """Ask the application; it must answer well."""
    statuses: list[str] = []
    body = b"".join(application(request(path, query), lambda status, *_: statuses.append(status)))
    if not statuses[0].startswith("200"):
        raise SystemExit(f"{path}: {statuses[0]} {body!r}")
    return body


def nothing(*_arguments: object, **_options: object) -> None:
    """Do what counting does where there is none."""


@contextmanager
def uncounted() -> Iterator[None]:
    """Let every counter, gauge, histogram and window do nothing."""
    with ExitStack() as stack:
        for kind, method in (
            (Counter, "inc"),
            (Gauge, "set"),
            (Histogram, "observe"),
            (LatencyWindow, "observe"),
        ):
            stack.enter_context(mock.patch.object(kind, method, nothing))
        yield


def turn_us(application: Application, claims: int) -> float:
    """Return microseconds of processor a question, over one turn."""
    began = thread_time()
    for number in range(REQUESTS):
        answer(application, "/v1/query", f"subject=thing/{number % claims}&predicate=is&lens=recency")
    return (thread_time() - began) / REQUESTS * 1e6


def measure(engine: Engine, telemetry: Telemetry, claims: int) -> dict[str, float]:
    """Return all figures."""
    service = Service(
        telemetry, make_logger(logging.WARNING, lambda _: None), Guards(GuardSettings()), lambda: None
    )
    service.serve(engine)
    application = Application(service)
    turn_us(application, claims)
    counted, silent = [], []
    for _ in range(TURNS):
        counted.append(turn_us(application, claims))
        with uncounted():
            silent.append(turn_us(application, claims))
    took_ms = []
    for _ in range(SCRAPES):
        began = thread_time()
        text = answer(application, "/metrics")
        took_ms.append((thread_time() - began) * 1000)
    lines = [line for line in text.splitlines() if not line.startswith(b"#")]
    return {
        "claims": claims,
        "question_us": round(statistics.median(counted), 1),
        "uncounted_us": round(statistics.median(silent), 1),
        "ratio": round(statistics.median(one / other for one, other in zip(counted, silent, strict=True)), 3),
        "series": len(lines),
        "scrape_bytes": len(text),
        "scrape_p50_ms": round(percentile(took_ms, 0.5), 2),
        "scrape_p99_ms": round(percentile(took_ms, 0.99), 2),
    }


def main() -> None:
    """Measure and print."""
    claims = int(sys.argv[1]) if sys.argv[1:] else CLAIMS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        telemetry = Telemetry()
        settings = EngineSettings(
            folder / "wal", folder / "db", folder / "keys", 64 << 20, 1, unsafe_skip_signatures=True
        )
        engine = open_engine(settings, telemetry=telemetry)
        try:
            load(engine, claims)
            figures = measure(engine, telemetry, claims)
        finally:
            engine.close()
    for key, value in figures.items():
        print(f"{key:<16}{value:>12}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
