"""A restart as clients with kept connections see it, the listening socket being held: nothing is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.durability.ledger import (
    Writers,
    acknowledged,
    assert_log_holds,
    assert_server_shows,
    say,
)
from tests.e2e.conftest import ServerFactory

RESTARTS = 5
# Bounds that only a hang would meet; the delays themselves are printed.
DELAY_S_MAX = 20.0


def wait_for_more(ledger: Path, count: int = 50) -> None:
    """Wait until so many more claims were acknowledged."""
    wanted = len(acknowledged(ledger)) + count
    while len(acknowledged(ledger)) < wanted:
        time.sleep(0.01)


@pytest.mark.parametrize("crash", [False, True], ids=["planned", "crash"])
def test_restart_refuses_nothing(server: ServerFactory, tmp_path: Path, *, crash: bool) -> None:
    service = server(held_socket=True)
    ledger = tmp_path / "ledger"
    writers = Writers(service.port, ledger)
    try:
        for _ in range(RESTARTS):
            wait_for_more(ledger)
            if crash:
                service.kill()
            else:
                assert service.stop() == 0
            service.start()
        wait_for_more(ledger)
        seen = writers.stop()
    finally:
        writers.kill()
    told = acknowledged(ledger)
    assert seen["refused"] == 0
    assert seen["unavailable"] == 0
    if not crash:
        assert seen["broken"] == 0
    assert seen["longest_s"] < DELAY_S_MAX
    assert_server_shows(service.port, told)
    assert service.stop() == 0
    assert_log_holds(service.folder / "wal", told)
    kind = "kills" if crash else "planned restarts"
    say(
        f"{RESTARTS} {kind}: {seen['writes']} writes, {seen['broken']} broken connections, "
        f"longest delay {seen['longest_s']:.3f} s"
    )
