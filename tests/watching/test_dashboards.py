"""The dashboards are as Grafana reads them, and ask for nothing that is not there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from tests.e2e.service import ServiceProcess, free_port
from tests.e2e.signing import claim
from tests.watching.exporter import exposed, node_exporter
from tests.watching.rules import ROOT, groups

FILES = sorted((ROOT / "files" / "grafana").glob("*.json"))
SCHEMA = json.loads(Path(__file__).with_name("dashboard.schema.json").read_text())
PANELS_OF_PILOT = {"Query latency", "Ingest rate", "Disk of log and view", "Errors", "Sync of the log, p99"}
LABEL = re.compile(r'(\w+)(?:=~|!~|!=|=)"')
FROM_PROMETHEUS = {"instance", "job"}


def panels(path: Path) -> list[dict[str, Any]]:
    """Return a dashboard's panels."""
    found: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return found


def expressions() -> dict[str, str]:
    """Return every expression of every dashboard and rule, by where it stands."""
    found = {
        f"{path.stem}: {panel['title']} {target['refId']}": str(target["expr"])
        for path in FILES
        for panel in panels(path)
        for target in panel["targets"]
    }
    return found | {
        f"rule {rule.get('alert', rule.get('record'))}": str(rule["expr"])
        for group in groups()
        for rule in group["rules"]
    }


def test_files_are_as_their_descriptions_make_them() -> None:
    tool = [sys.executable, str(ROOT / "tools" / "dashboards.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_fits_the_schema(path: Path) -> None:
    assert [
        error.message for error in Draft202012Validator(SCHEMA).iter_errors(json.loads(path.read_text()))
    ] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_two_panels_are_in_one_place(path: Path) -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels(path)]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in panels(path)})


def test_the_overview_has_the_pilots_panels_and_its_thresholds() -> None:
    (overview,) = (path for path in FILES if path.stem == "overview")
    by_title = {panel["title"]: panel for panel in panels(overview)}
    assert set(by_title) >= PANELS_OF_PILOT

    def marks(title: str) -> list[float | None]:
        steps = by_title[title]["fieldConfig"]["defaults"]["thresholds"]["steps"]
        return [step["value"] for step in steps]

    assert 0.2 in marks("Query latency")
    assert 0.01 in marks("Sync of the log, p99")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the labels of every metric that a service and a node_exporter expose, and what rules record."""
    service = ServiceProcess(tmp_path_factory.mktemp("service")).start()
    try:
        service.post("/v1/assert", claim())
        service.get("/v1/query?subject=a&predicate=b&lens=recency")
        service.get("/v1/nowhere")
        with node_exporter(free_port(), ROOT / "tests" / "watching" / "textfiles") as node_text:
            found = exposed(service.get("/metrics").body.decode()) | exposed(node_text)
    finally:
        service.close()
    recorded = {
        rule["record"]: {"quantile"} for group in groups() for rule in group["rules"] if "record" in rule
    }
    return found | recorded | {"up": set()}


@pytest.mark.watching
def test_every_expression_asks_for_what_is_exposed(there: dict[str, set[str]]) -> None:
    wrong = []
    for place, expr in expressions().items():
        for metric, labels in re.findall(r"\b((?:stemedb|node|process)_\w+)(?:\{([^}]*)\})?", expr):
            if metric not in there:
                wrong.append(f"{place}: nobody exposes {metric}")
            elif unknown := set(LABEL.findall(labels)) - there[metric] - FROM_PROMETHEUS:
                wrong.append(f"{place}: {metric} has no label {unknown}")
    assert wrong == []


@pytest.mark.watching
def test_every_expression_is_one(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"check:{number}",
            "expr": expr.replace("$__rate_interval", "1m").replace("$instance", ".+"),
        }
        for number, expr in enumerate(expressions().values())
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "check", "rules": rules}]}))  # JSON is YAML
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
