"""What is recorded of each operating system, and every template rendered for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.host.playbook import ROOT, play

RECORDED = ROOT / "tests" / "host" / "recorded"
SYSTEMS = ("debian-12", "ubuntu-22.04", "redhat-9")
TEMPLATES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("roles/*/templates", "templates")
    for path in ROOT.glob(f"{folder}/**/*.j2")
)
VARIABLES = sorted(
    str(path) for name in ("defaults", "vars") for path in ROOT.glob(f"roles/*/{name}/main.yml")
)
# Who judges a rendered file: the first pattern that its template's path matches, by the tool named before it.
TOOLS = (
    ("unit", r"\.(service|socket|timer|target|mount|path)\.j2$"),
    ("environment", r"config\.env\.j2$"),
    ("journald", r"journald\.conf\.j2$"),
    ("iptables", r"(rules|stemedb)\.v4\.j2$"),
    ("ip6tables", r"(rules|stemedb)\.v6\.j2$"),
    ("logrotate", r"logrotate[^/]*\.j2$"),
    ("rules", r"(rules|alerts)[^/]*\.ya?ml\.j2$"),
    ("prometheus", r"prometheus\.yml\.j2$"),
    ("json", r"\.json\.j2$"),
    ("shell", r"(\.sh|/commands\.\w+)\.j2$"),
    ("nginx", r"nginx.*\.j2$"),
)


def tool_of(template: str) -> str | None:
    """The tool that judges a template's files; None if nobody does."""
    if template.endswith(".conf.j2") and "\n[Service]\n" in (ROOT / template).read_text():
        return "drop-in"  # to a unit that is somebody else's
    return next((tool for tool, pattern in TOOLS if re.search(pattern, template)), None)


def recorded(system: str) -> dict[str, Any]:
    """What is known of an operating system."""
    known: dict[str, Any] = yaml.safe_load((RECORDED / f"{system}.yml").read_text())
    return known


def render(folder: Path, variables: dict[str, object] | None = None) -> dict[str, dict[str, str]]:
    """Every template's text, by system and by template."""
    for system in SYSTEMS:
        (folder / system).mkdir()
    given = {
        "root": str(ROOT),
        "output": str(folder),
        "templates": TEMPLATES,
        "variables": VARIABLES,
        **(variables or {}),
    }
    run = play("-i", ",".join(SYSTEMS) + ",", str(RECORDED / "render.yml"), variables=given)
    assert run.status == 0, run.output
    return {
        system: {
            template: (folder / system / template.replace("/", "+").removesuffix(".j2")).read_text()
            for template in TEMPLATES
        }
        for system in SYSTEMS
    }
