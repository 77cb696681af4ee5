"""A machine under load loses power: qemu and the cache of its data disk are killed in the same moment.

The first test shows that the scenario can fail: the same service, with a library in front of it that makes
fdatasync and its kin do nothing, loses claims that it had acknowledged.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.power.conftest import Timed
from tests.power.evidence import check_answers, claims_in, copy_log, missing_from
from tests.power.load import Ledger, Load
from tools.testvm import Machine

pytestmark = pytest.mark.vm

CUTS = 20
ACKNOWLEDGED_MIN, ACKNOWLEDGED_MAX = 100, 400
UNITS = "stemedb-api.socket stemedb-api.service"
# Below /run: gone with the next boot.
WITHOUT_SYNC = """
set -e
mkdir -p /run/systemd/system/stemedb-api.service.d
cat >/run/systemd/system/stemedb-api.service.d/without-sync.conf <<END
[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libeatmydata.so
END
systemctl daemon-reload
systemctl restart stemedb-api.service
grep -q libeatmydata /proc/$(systemctl show --value --property=MainPID stemedb-api.service)/maps
"""
EMPTY = f"""
set -e
systemctl stop {UNITS}
systemctl reset-failed {UNITS}
rm -rf /data/wal/* /data/db/*
systemctl start {UNITS}
"""


@pytest.fixture
def fresh(machine: Machine, timed: Timed) -> Machine:
    """Return the machine, running and with an empty database."""
    if machine.running:
        machine.ssh(EMPTY, sudo=True)
    else:
        boot(machine, timed)
    machine.wait_ready()
    return machine


def boot(machine: Machine, timed: Timed) -> None:
    """Switch it on."""
    with timed("boot to SSH"):
        machine.boot()


def cut_under_load(machine: Machine, timed: Timed, ledger: Ledger, name: str, figures: list[str]) -> None:
    """Write from outside, and cut the power at some moment while writes are under way.

    A request that breaks before that is sent again, as any client does, and told of at the end of the run.
    """
    more = random.randint(ACKNOWLEDGED_MIN, ACKNOWLEDGED_MAX)
    with timed(f"load until {more} more were acknowledged"), Load(machine.url, ledger, name) as load:
        load.acknowledged(more)
        machine.cut_power()
    if load.broken:
        figures.append(f"{len(load.broken)} requests broke before the cut, the first: {load.broken[0]}")


def check_everything(machine: Machine, timed: Timed, ledger: Ledger, subjects: set[str], log: Path) -> None:
    """Assert that all that was ever acknowledged is there, and that the service shows it."""
    with timed("the service ready again"):
        machine.wait_ready()
    with timed("checks"):
        found = claims_in(copy_log(machine, log))
        assert ledger.seqs.items() <= found.items()
        check_answers(machine.url, ledger, subjects, found)


def test_cut_without_sync_loses_acknowledged_claims(
    fresh: Machine, timed: Timed, figures: list[str], tmp_path: Path
) -> None:
    fresh.ssh(WITHOUT_SYNC, sudo=True)
    fresh.wait_ready()
    ledger = Ledger()
    cut_under_load(fresh, timed, ledger, "without-sync", figures)
    boot(fresh, timed)
    lost = missing_from(copy_log(fresh, tmp_path / "log"), ledger)
    figures.append(f"without fdatasync: {len(lost)} of {len(ledger.seqs)} acknowledged claims lost")
    assert lost


def test_cut_loses_nothing_acknowledged(
    fresh: Machine, timed: Timed, figures: list[str], tmp_path: Path
) -> None:
    ledger = Ledger()
    cut_under_load(fresh, timed, ledger, "one", figures)
    boot(fresh, timed)
    check_everything(fresh, timed, ledger, set(ledger.subjects), tmp_path / "log")
    figures.append(f"one cut: all {len(ledger.seqs)} acknowledged claims are there")


@pytest.mark.slow
def test_twenty_cuts_lose_nothing_acknowledged(
    fresh: Machine, timed: Timed, figures: list[str], tmp_path: Path
) -> None:
    ledger = Ledger()
    with timed(f"{CUTS} cuts in all"):
        for number in range(1, CUTS + 1):
            before = set(ledger.subjects)
            cut_under_load(fresh, timed, ledger, f"cut-{number}", figures)
            boot(fresh, timed)
            last = number == CUTS
            subjects = set(ledger.subjects) if last else set(ledger.subjects) - before
            check_everything(fresh, timed, ledger, subjects, tmp_path / f"log-{number}")
    figures.append(f"{CUTS} cuts: all {len(ledger.seqs)} acknowledged claims are there")
