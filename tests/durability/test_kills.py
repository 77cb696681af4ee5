"""The acknowledgement ledger: killed at random under load, again and again, the service loses nothing."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.durability.ledger import Writers, acknowledged, assert_log_holds, assert_server_shows, say
from tests.e2e.conftest import ServerFactory
from tests.e2e.service import ServiceProcess

KILLS = 50
SOAK_SECONDS_DEFAULT = 600


def kill_at_random(service: ServiceProcess, chance: random.Random, kills: int, run: int) -> int:
    """Kill the service so often under load, check after each restart; return how many claims were written."""
    ledger = service.folder / f"ledger-{run}"
    wal_dir = service.folder / "wal"
    before: set[str] = set()
    writers = Writers(service.port, ledger, run=run)
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.02, 0.4))  # what the test is about: any moment
            service.kill()
            told = acknowledged(ledger)
            assert_log_holds(wal_dir, told)
            service.start()
            with writers.held():
                assert_server_shows(service.port, told.keys() - before)
            before = set(told)
        seen = writers.stop()
    finally:
        writers.kill()
    told = acknowledged(ledger)
    assert len(told) == seen["writes"]
    assert_log_holds(wal_dir, told)
    assert_server_shows(service.port, told)
    assert service.get("/v1/health").json()["assertions_count"] >= len(told)
    say(f"{kills} kills survived, {len(told)} claims acknowledged, {seen}")
    return len(told)


def test_kill_under_load_loses_nothing(server: ServerFactory) -> None:
    service = server(held_socket=True)
    assert kill_at_random(service, random.Random(3), KILLS, run=0) > KILLS


@pytest.mark.soak
def test_kill_under_load_for_long(server: ServerFactory) -> None:
    seconds = float(os.environ.get("SOAK_SECONDS", SOAK_SECONDS_DEFAULT))
    seed = random.SystemRandom().getrandbits(32)
    say(f"seed {seed}")
    chance = random.Random(seed)
    service = server(held_socket=True)
    end = time.monotonic() + seconds
    run = 0
    while time.monotonic() < end:
        kill_at_random(service, chance, KILLS, run)
        run += 1
