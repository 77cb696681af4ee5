"""The tables of docs/sizing.md say what the preflight asks for, and add up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from tests.host.playbook import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs" / "sizing.md").read_text()
PROFILES = yaml.safe_load((ROOT / "roles/stemedb_common/vars/main.yml").read_text())[
    "__stemedb_common_profiles"
]


def rows(heading: str) -> Iterator[list[str]]:
    """The rows of the tables below a heading, headers and rules left out."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.search(r"\d", line):
            yield cells


def test_lists_the_profiles_of_the_preflight() -> None:
    shown = {}
    for name, _, vcpus, memory, disk, *_ in rows("Profiles"):
        total, wal_gb, db_gb = (int(number) for number in re.findall(r"\d+", disk))
        assert total == wal_gb + db_gb
        shown[name.strip("`")] = {
            "vcpus": int(vcpus),
            "memory_gb": int(memory.split()[0]),
            "wal_gb": wal_gb,
            "db_gb": db_gb,
        }
    assert shown == {name: profile for name, profile in PROFILES.items() if name != "none"}


def test_works_the_formulas_out() -> None:
    table = [row for row in rows("Formulas") if len(row) == 7]
    assert len(table) == 3
    for questions, ingests, vcpus, _, claims, index, memory in table:
        assert float(vcpus) == round(0.005 * float(questions) + 0.002 * float(ingests) + 2, 4)
        assert float(memory) == round(0.0001 * float(claims.replace(",", "")) + float(index) + 1 + 2, 4)


def test_adds_the_costs_up() -> None:
    for _, *parts, total in rows("Costs"):
        assert sum(int(part) for part in parts if part) == int(total)
