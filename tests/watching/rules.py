"""The alert rules as the project ships them, and as a test that cannot wait has them.

`python -m tests.watching.rules FILE` writes the latter.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "files" / "prometheus" / "stemedb.rules.yml"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WINDOW = re.compile(r"(?<=\[)(\d+)([smhd])(?=\])")
_FOR = re.compile(r"(?<=for: )(\d+)([smhd])$", re.MULTILINE)
_AGE = re.compile(r"\* (60|3600|86400)\b")


class Alert(NamedTuple):
    """One alerting rule."""

    name: str
    expr: str
    for_s: int
    severity: str
    summary: str
    runbook: str


def alerts() -> list[Alert]:
    """Return every alert of the file."""
    return [alert_of(rule) for group in groups() for rule in group["rules"] if "alert" in rule]


def groups() -> list[dict[str, Any]]:
    """Return the file's groups."""
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return found


def alert_of(rule: dict[str, Any]) -> Alert:
    """Read one rule."""
    notes = rule["annotations"]
    for_s = seconds(rule["for"]) if "for" in rule else 0
    labels = rule["labels"]
    return Alert(
        rule["alert"], rule["expr"], for_s, labels["severity"], notes["summary"], notes["runbook_url"]
    )


def seconds(duration: str) -> int:
    """Read a duration as Prometheus writes it."""
    return int(duration[:-1]) * _UNITS_S[duration[-1]]


def shortened(text: str, by: int = 60, windows_by: int = 20) -> str:
    """Return the rules with every `for` and every age (`26 * 3600`) so many times shorter.

    Windows are so by less: a counter must have been asked for a few times within one.
    """

    def shorter(found: re.Match[str], divisor: int) -> str:
        return f"{int(found[1]) * _UNITS_S[found[2]] * 1000 // divisor}ms"

    text = _WINDOW.sub(lambda found: shorter(found, windows_by), text)
    text = _FOR.sub(lambda found: shorter(found, by), text)
    return _AGE.sub(lambda found: f"* {found[1]} / {by}", text)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(shortened(RULES.read_text()))
