"""Check mode on the bare host said what the first run then did; behind it there is nothing left to say.

The scenario's runs are written down by playbooks/callback_plugins/stemedb_changes.py.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.host.playbook import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

UNPREDICTED = ROOT / "tests/host/live/unpredicted.yml"


@pytest.fixture
def runs() -> list[dict[str, Any]]:
    """The scenario's runs of the project's playbook, in order."""
    file = os.environ.get("PLAYBOOK_RUNS_FILE")
    if not file:
        pytest.skip("no scenario has written its runs down for this inventory")
    lines = [json.loads(line) for line in Path(file).read_text().splitlines()]
    return [line for line in lines if line["playbook"] == "converge.yml"]


def changes(run: dict[str, Any]) -> Counter[str]:
    """How often a task of each name changed something, without the role's name before it."""
    names = [name for each in run["changed"].values() for name in each]
    return Counter(name.rpartition(" : ")[2] for name in names)


def test_predicts_the_first_run_exactly(
    runs: list[dict[str, Any]], record_property: Callable[[str, object], None]
) -> None:
    predicted, done, again, second = runs[:4]
    assert [run["check"] for run in runs[:4]] == [True, False, True, False]
    assert sorted((changes(predicted) - changes(done)).elements()) == []
    missing = sorted((changes(done) - changes(predicted)).elements())
    assert missing == sorted(yaml.safe_load(UNPREDICTED.read_text()))
    assert again["changed"] == second["changed"] == {}
    record_property("seconds of the check on the bare host", predicted["seconds"])
    record_property("seconds of the first run", done["seconds"])
    record_property("seconds of the check after it", again["seconds"])
    record_property("seconds of the second run", second["seconds"])
    record_property("tasks and handlers of the first run", len(done["tasks"]))
