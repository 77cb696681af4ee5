"""The alert rules as the project ships them, and as a test that cannot wait has them.

`python -m tests.watching.rules FILE DIVISOR` writes the latter.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "files" / "prometheus" / "stemedb.rules.yml"
TO_COME = {"stemedb_quarantine_pending"}  # with the defence of content
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?<=\[)(\d+)([smhd])(?=\])|(?<=for: )(\d+)([smhd])$", re.MULTILINE)
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


def divided(text: str, by: int) -> str:
    """Return the rules with every window, every `for` and every age (`26 * 3600`) so many times shorter."""

    def shorter(found: re.Match[str]) -> str:
        number, unit = found[1] or found[3], found[2] or found[4]
        return f"{max(1000, int(number) * _UNITS_S[unit] * 1000 // by)}ms"

    return _AGE.sub(lambda found: f"* {found[1]} / {by}", _DURATION.sub(shorter, text))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(divided(RULES.read_text(), int(sys.argv[2])))
