"""Reading bulk lines leaves the processor to others, where there are any, and to nobody else."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemedb import limits
from stemedb.api import bulk
from stemedb.api.call import Call
from stemedb.api.lines import Lines, Taken
from stemedb.api.service import Service
from stemedb.engine import open_engine
from stemedb.guard import Guards, GuardSettings
from stemedb.telemetry import Telemetry, make_logger
from tests.e2e.signing import line
from tests.engine.test_engine import settings_in


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    guards, log = Guards(GuardSettings()), make_logger(logging.WARNING, lambda _line: None)
    made = Service(Telemetry(), log, guards, on_corrupt=lambda: None)
    engine = open_engine(settings_in(tmp_path))
    made.serve(engine)
    yield made
    engine.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made. Noted instead of made: whether there is one cannot be told from outside."""
    noted: list[float] = []
    monkeypatch.setattr("stemedb.api.bulk.sleep", noted.append)
    return noted


def take(service: Service, count: int) -> None:
    origin = service.guards.origin("127.0.0.1", None, other_marks=False)
    lines = Lines(service, Call({"stemedb.origin": origin}, {}))
    chunk = [bulk.Line(number, line(number)) for number in range(count)]
    assert all(isinstance(each, Taken) for each in bulk.take_all(lines, chunk))


def test_nobody_is_waited_for_where_nobody_asks(service: Service, pauses: list[float]) -> None:
    take(service, limits.BULK_CHUNK_LINES_MAX)
    assert pauses == []


def test_who_asks_meanwhile_is_given_the_processor(service: Service, pauses: list[float]) -> None:
    service.last_request_s = time.monotonic() + 60  # however slow this machine is
    take(service, limits.BULK_CHUNK_LINES_MAX)
    behind = limits.BULK_CHUNK_LINES_MAX - limits.BULK_PAUSE_AFTER_LINES
    assert pauses == [limits.BULK_PAUSE_S] * (behind // limits.BULK_PAUSE_LINES)


def test_a_short_chunk_is_read_in_one_go(service: Service, pauses: list[float]) -> None:
    service.last_request_s = time.monotonic() + 60
    take(service, limits.BULK_PAUSE_AFTER_LINES)
    assert pauses == []
