"""Runs that are killed between two tasks, with no package index in reach, and say nothing secret."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.host.containers import container
from tests.host.days.checkouts import wheelhouse
from tests.host.days.conftest import Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.host.playbook import Run

# Tasks and handlers at which a run is killed, one in each fifth of a whole run.
KILLED_AT = (15, 45, 75, 105, 135)
KILLED = -9
KILLS = "tests/host/days/callbacks"
CANARY = "steme_live_" + "canary" * 7 + "x"
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A filled wheelhouse whose archives are still to be packed, on a controller without a package index."""
    target = tmp_path / "wheelhouse"
    shutil.copytree(wheelhouse(), target, ignore=shutil.ignore_patterns("*.tar"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, NOWHERE)
    monkeypatch.setenv("PIP_RETRIES", "0")
    return target


def killed_at(
    operator: Operator, task: int, monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, object]
) -> Run:
    with monkeypatch.context() as patch:
        patch.setenv("STEMEDB_KILL_AT", str(task))
        return operator.play("site.yml", callbacks=KILLS, variables=variables)


@pytest.mark.slow
def test_goes_on_after_kills_without_an_index_and_says_no_secret(
    no_index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    secret = {"stemedb_root_api_key": CANARY, "stemedb_wheelhouse_dir": str(no_index)}
    runs = tmp_path / "runs"
    with container("interrupted", tmp_path) as host:
        operator = Operator(host, tmp_path)
        for task in KILLED_AT:
            killed = killed_at(operator, task, monkeypatch, secret)
            assert killed.status == KILLED, killed.output
        monkeypatch.setenv("PLAYBOOK_RUNS_FILE", str(runs))
        whole = operator.play("site.yml", "-vvv", "--diff", variables=secret)
        assert whole.status == 0, whole.output
        assert CANARY not in whole.output
        assert CANARY in operator.run("cat /etc/stemedb/config.env")
        after = operator.play("site.yml", "--check", "--diff", "-vvv", variables=secret)
        assert (after.status, after.changed) == (0, 0), after.output
        assert CANARY not in after.output
        assert operator.health()["status"] == "healthy"
    count = len(json.loads(runs.read_text().splitlines()[0])["tasks"])
    record_property("tasks of a run, handlers included", count)
    fifth = count / len(KILLED_AT)
    assert [int(task / fifth) for task in KILLED_AT] == list(range(len(KILLED_AT)))


@pytest.mark.soak
def test_goes_on_after_a_kill_at_every_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = 0
    status = KILLED
    while status == KILLED:  # until the run is over before it comes to that task
        task += 1
        with container("interrupted", tmp_path) as host:
            operator = Operator(host, tmp_path)
            status = killed_at(operator, task, monkeypatch, {}).status
            operator.converged()
            after = operator.play("site.yml", "--check")
            assert (after.status, after.changed) == (0, 0), f"task {task}\n{after.output}"
    assert status == 0
