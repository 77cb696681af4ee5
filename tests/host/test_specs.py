"""What is said about the roles' variables in several places is the same everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.host.playbook import ROOT, play

if TYPE_CHECKING:
    from pathlib import Path

ROLES = sorted(path.parent.parent for path in ROOT.glob("roles/*/tasks/main.yml"))
PLAYBOOKS = ["site.yml", *(f"playbooks/{path.name}" for path in sorted(ROOT.glob("playbooks/*.yml")))]


def options_of(role: Path) -> dict[str, dict[str, Any]]:
    spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())
    options: dict[str, dict[str, Any]] = spec["argument_specs"]["main"]["options"]
    return options


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_specifies_every_default(role: Path) -> None:
    defaults = role / "defaults" / "main.yml"
    given = yaml.safe_load(defaults.read_text()) if defaults.exists() else {}
    assert {name: option["default"] for name, option in options_of(role).items()} == given


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_describes_every_variable(role: Path) -> None:
    for name, option in options_of(role).items():
        assert name.startswith("stemedb_")
        assert option["description"], name


def test_keeps_readmes_in_step() -> None:
    tool = [sys.executable, str(ROOT / "tools" / "role_docs.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_shows_every_variable_in_the_pilot_inventory() -> None:
    shown = (ROOT / "inventories/pilot/group_vars/stemedb/main.yml").read_text()
    for role in ROLES:
        for name, option in options_of(role).items():
            default = yaml.safe_load(yaml.safe_dump(option["default"], default_flow_style=True))
            lines = [line for line in shown.splitlines() if line.startswith(f"# {name}: ")]
            assert lines, f"{name} is not in the pilot inventory"
            if name != "stemedb_root_api_key":  # shown as it should be set: from a vault
                assert yaml.safe_load(lines[0][2:])[name] == default


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_reads_playbooks_from_any_folder(playbook: str, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts"
    inventory.write_text("[stemedb]\n192.0.2.1\n")
    run = play("-i", str(inventory), str(ROOT / playbook), "--list-tasks", cwd=tmp_path)
    assert run.status == 0, run.output
    if playbook in {"site.yml", "playbooks/install.yml"}:
        assert "Compare the host with what is asked of it" in run.output
    assert "TAGS: [" in run.output  # of a task


@pytest.mark.parametrize("other", ["drift", "remove"])
def test_plays_know_every_role_that_the_installation_has(other: str) -> None:
    def roles(text: str) -> list[str]:
        return re.findall(r"^ +(?:- role|name): (stemedb\w*)$", text, re.MULTILINE)

    installed = roles((ROOT / "playbooks/install.yml").read_text())
    found = roles((ROOT / f"playbooks/{other}.yml").read_text())
    if other == "remove":  # in the opposite order, and what only looks leaves nothing
        found, installed = found[::-1], [role for role in installed if role != "stemedb_common"]
    assert found == installed


@pytest.mark.parametrize("inventory", sorted(path.name for path in (ROOT / "inventories").iterdir()))
def test_inventories_name_hosts_for_the_playbook(inventory: str) -> None:
    run = play("-i", str(ROOT / "inventories" / inventory), str(ROOT / "site.yml"), "--list-hosts")
    assert run.status == 0, run.output
    assert "hosts (1)" in run.output
