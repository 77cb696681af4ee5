"""The roles against what is recorded of each operating system, as far as no tool of a host is needed.

`live/test_contract.py` gives the same rendered files to the real tools.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.host.contract import RECORDED, SYSTEMS, TEMPLATES, recorded, render, tool_of
from tests.host.playbook import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

OS_VARS = ROOT / "roles" / "stemedb_common" / "vars" / "os"
FILES = {  # as set_vars.yml finds them, from the family to the version
    "debian-12": ("debian", "debian-12"),
    "ubuntu-22.04": ("debian", "ubuntu", "ubuntu-22.04"),
    "redhat-9": ("redhat", "redhat-9"),
}
UNDEFINED = re.compile(r"\{\{|\{%|AnsibleUndefined")
DIRECTIVE = re.compile(r"^([A-Z][A-Za-z0-9]+)=", re.MULTILINE)
PACKAGE_TASK = re.compile(r"ansible\.builtin\.(?:package|apt|dnf|yum):\n(?:\s+.*\n)*?\s+name: (.*)\n")


def os_values(system: str) -> dict[str, Any]:
    """The internal variables of an operating system."""
    values: dict[str, Any] = {}
    for name in FILES[system]:
        path = OS_VARS / f"{name}.yml"
        if path.exists():
            values |= yaml.safe_load(path.read_text())
    return values


def texts(value: object) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return render(tmp_path_factory.mktemp("rendered"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_os_is_supported_and_every_system_sets_the_same_variables(system: str) -> None:
    values = os_values(system)
    assert values["__stemedb_common_os_supported"] is True
    assert values.keys() == os_values("debian-12").keys()


@pytest.mark.parametrize("system", SYSTEMS)
def test_packages_are_what_the_system_calls_them(system: str) -> None:
    known = recorded(system)["packages"]
    named = {
        text
        for name, value in os_values(system).items()
        if re.search(r"_packages?$", name)
        for text in texts(value)
        if text
    }
    assert named
    assert named - set(known) == set()


@pytest.mark.parametrize("system", SYSTEMS)
def test_paths_are_where_the_system_has_them(system: str) -> None:
    known = recorded(system)
    of_packages = {path for paths in known["packages"].values() for path in paths}
    used = {text for value in os_values(system).values() for text in texts(value) if text.startswith("/")}
    assert used - of_packages - set(known["made"]) == set()


@pytest.mark.parametrize("system", SYSTEMS)
def test_units_are_what_the_system_calls_them(system: str) -> None:
    units = {Path(path).name for paths in recorded(system)["packages"].values() for path in paths}
    named = {
        text
        for value in os_values(system).values()
        for text in texts(value)
        if re.fullmatch(r"[\w@-]+\.(service|timer|socket)", text)
    }
    assert named - units == set()


@pytest.mark.parametrize("path", sorted(ROOT.glob("roles/*/tasks/*.yml")), ids=lambda path: path.stem)
def test_no_task_names_a_package_itself(path: Path) -> None:
    # A name in a task is one system's name.
    assert [name for name in PACKAGE_TASK.findall(path.read_text()) if "{{" not in name] == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_template_is_rendered_whole(system: str, rendered: dict[str, dict[str, str]]) -> None:
    assert set(rendered[system]) == set(TEMPLATES)
    for template, text in rendered[system].items():
        if Path(template).suffixes[-2:] != [".json", ".j2"]:  # dashboards have braces of their own
            assert UNDEFINED.search(text) is None, template
        assert text.endswith("\n"), template


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_is_judged_by_a_tool(template: str) -> None:
    assert tool_of(template) is not None, "name one in TOOLS, and how it is asked in live/test_contract.py"


@pytest.mark.parametrize("system", SYSTEMS)
def test_units_use_no_directive_that_the_systems_own_systemd_lacks(
    system: str, rendered: dict[str, dict[str, str]]
) -> None:
    since = yaml.safe_load((RECORDED / "systemd.yml").read_text())
    version = recorded(system)["versions"]["systemd"]
    for template in [each for each in TEMPLATES if tool_of(each) in {"unit", "drop-in"}]:
        used = set(DIRECTIVE.findall(rendered[system][template]))
        assert used
        assert {name: since[name] for name in used if since.get(name, 0) > version} == {}, template
