"""Every alert fires when it should, is silent just below, and leads to a page that says what to do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.watching.cases import CASES, Case
from tests.watching.rules import ROOT, RULES, Alert, alerts, groups, shortened

ALERTS = {alert.name: alert for alert in alerts()}
NOT_MADE_TO_FIRE = {"StemedbClockOff"}  # the scenario only names it
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def promtool(*arguments: str | Path) -> None:
    """Run promtool; what it complains about fails the test."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def firing(name: str, at_m: int, count: int) -> dict[str, Any]:
    """Expect so many firing alerts of a name at a minute."""
    samples = [{"labels": "{}", "value": count}]
    expr = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
    return {"expr": expr, "eval_time": f"{at_m}m", "exp_samples": samples}


def run(series: dict[str, str], expected: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one test as promtool reads it."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": expected,
    }


def unfold(folder: Path, name: str, *tests: dict[str, Any]) -> None:
    """Let promtool live through `tests` with the rule of that name and what is recorded for it.

    With all of the rules eight days would take seconds.
    """
    rules = folder / "rules.yml"
    kept = [
        {**group, "rules": [rule for rule in group["rules"] if rule.get("alert", name) == name]}
        for group in groups()
    ]
    rules.write_text(yaml.safe_dump({"groups": kept}))
    document = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": list(tests)}
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(document))
    promtool("test", "rules", path)


def case_of(alert: Alert) -> Case:
    """Return an alert's case; fails where it has none."""
    assert alert.name in CASES, f"{alert.name} has no case in tests/watching/cases.py"
    return CASES[alert.name]


@pytest.mark.watching
def test_rules_are_valid_and_so_are_their_shorter_ones(tmp_path: Path) -> None:
    shorter = tmp_path / "shorter.yml"
    shorter.write_text(shortened(RULES.read_text()))
    promtool("check", "rules", "--lint-fatal", RULES, shorter)


@pytest.mark.watching
@pytest.mark.parametrize("name", ALERTS)
def test_fires_when_it_should_and_not_before(name: str, tmp_path: Path) -> None:
    alert = ALERTS[name]
    case = case_of(alert)
    early_m = case.after_m - 1
    expected = [firing(name, case.after_m, case.ever)]
    if alert.for_s:
        assert alert.for_s // 60 <= case.after_m
        expected.insert(0, firing(name, min(early_m, alert.for_s // 60 - 1), 0))
    unfold(tmp_path, name, run(case.fires, expected), run(case.silent, [firing(name, case.after_m, 0)]))


@pytest.mark.watching
def test_a_job_that_is_gone_is_noticed(tmp_path: Path) -> None:
    name = "StemedbMetricsAbsent"
    unfold(tmp_path, name, run({"other": "1x10"}, [firing(name, 5, 1)]))


def test_there_is_no_case_without_an_alert() -> None:
    assert set(CASES) == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_says_how_bad_it_is_what_the_value_is_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert.severity in {"critical", "warning", "info"}
    assert "{{ $value" in alert.summary
    page, _, anchor = alert.runbook.partition("#")
    headings = {title.lower() for title in HEADING.findall((ROOT / page).read_text())}
    assert anchor == name.lower()
    assert anchor in headings, f"{page} has no heading {name}"


@pytest.mark.parametrize("name", ALERTS)
def test_asks_for_metrics_that_are_documented(name: str) -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for metric in re.findall(r"\bstemedb_\w+", ALERTS[name].expr):
        plain = re.sub(r"_(count|sum|bucket)$", "", metric)
        assert f"| `{plain}` |" in page or f"| `{metric}` |" in page, metric


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "runbooks").glob("*.md")), ids=lambda page: page.name
)
def test_no_page_speaks_of_an_alert_that_is_not_there(page: Path) -> None:
    assert [title for title in HEADING.findall(page.read_text())[1:] if title not in ALERTS] == []


def test_the_document_lists_every_alert_and_what_makes_it_fire() -> None:
    page = (ROOT / "docs" / "operating" / "monitoring.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\((?:[^)]*)\) \| [^|]* \| (\w+) \| ([^|]*) \|$", page, re.MULTILINE)
    assert {name: severity for name, severity, _ in rows} == {
        alert.name: alert.severity for alert in ALERTS.values()
    }
    scenario = (ROOT / "tests" / "host" / "watched" / "test_alerts.py").read_text()
    fired = {name for name in ALERTS if f'"{name}"' in scenario} - NOT_MADE_TO_FIRE
    assert {name for name, _, how in rows if how != "-"} == fired
