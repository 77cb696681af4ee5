"""Runs that are killed between two tasks, with no package index in reach, and say nothing secret."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.host.containers import container
from tests.host.days.conftest import Operator
from tests.host.playbook import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.host.playbook import Run

KILLS = 5
KILLED = -9
CALLBACKS = "tests/host/days/callbacks"
CANARY = "steme_live_" + "canary" * 7 + "x"
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A filled wheelhouse whose archives are still to be packed, on a controller without a package index."""
    target = tmp_path / "wheelhouse"
    shutil.copytree(ROOT / "build/wheelhouse", target, ignore=shutil.ignore_patterns("*.tar"))
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
        return operator.play("site.yml", callbacks=CALLBACKS, variables=variables)


def tasks_of_a_run(operator: Operator, runs: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that a check of the whole playbook reaches."""
    with monkeypatch.context() as patch:
        patch.setenv("PLAYBOOK_RUNS_FILE", str(runs))
        run = operator.play("site.yml", "--check", callbacks="playbooks/callback_plugins")
    assert run.status == 0, run.output
    tasks: list[str] = json.loads(runs.read_text().splitlines()[-1])["tasks"]
    return tasks


@pytest.mark.slow
def test_goes_on_after_kills_without_an_index_and_says_no_secret(
    no_index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    secret = {"stemedb_root_api_key": CANARY, "stemedb_wheelhouse_dir": str(no_index)}
    with container("interrupted", tmp_path) as host:
        operator = Operator(host, tmp_path)
        count = len(tasks_of_a_run(operator, tmp_path / "runs", monkeypatch))
        for number in range(KILLS):
            killed = killed_at(operator, (2 * number + 1) * count // (2 * KILLS), monkeypatch, secret)
            assert killed.status == KILLED, killed.output
        whole = operator.play("site.yml", "-vvv", "--diff", variables=secret)
        assert whole.status == 0, whole.output
        assert CANARY not in whole.output
        assert CANARY in operator.run("cat /etc/stemedb/config.env")
        after = operator.play("site.yml", "--check", "--diff", "-vvv", variables=secret)
        assert (after.status, after.changed) == (0, 0), after.output
        assert CANARY not in after.output
        assert operator.health()["status"] == "healthy"
    record_property("tasks of a run, handlers included", count)


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
