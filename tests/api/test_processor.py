"""The service's threads share a processor, and what works beside them gets all."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from stemedb.api.processor import settle


def settled() -> tuple[frozenset[int], set[int], set[int]]:
    """Settle this thread; return what that returned, and where this and a thread it starts may run."""
    allowed = settle()
    with ThreadPoolExecutor(1) as pool:
        return allowed, os.sched_getaffinity(0), pool.submit(os.sched_getaffinity, 0).result()


def test_a_thread_and_those_it_starts_share_one_of_those_allowed() -> None:
    before = os.sched_getaffinity(0)
    with ThreadPoolExecutor(1) as pool:
        allowed, own, started = pool.submit(settled).result()
    assert allowed == before
    assert len(own) == 1
    assert own < before or own == before
    assert started == own
    assert os.sched_getaffinity(0) == before


def test_where_that_is_not_allowed_everything_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _processors: set[int]) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    before = os.sched_getaffinity(0)
    assert settle() == before
    assert os.sched_getaffinity(0) == before
