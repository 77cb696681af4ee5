"""Every template, rendered for every operating system, given to the real tools of the host under test.

The tools are this host's (Debian 12): what they accept is right in form. Names, paths and versions of the
others are held against what is recorded of them in `tests/host/test_contract.py`.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.host.contract import SYSTEMS, TEMPLATES, recorded, render, tool_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.host.live.conftest import Machine

FOLDER = "/run/contract"  # gone with the next boot


def given(rendered: dict[str, dict[str, str]]) -> str:
    """All rendered files as one archive in base64, each under the name that the host would give it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for system, files in rendered.items():
            for template, text in files.items():
                member = tarfile.TarInfo(place(system, template))
                member.size, member.mode = len(text.encode()), 0o644
                tar.addfile(member, io.BytesIO(text.encode()))
    return base64.b64encode(packed.getvalue()).decode()


def place(system: str, template: str) -> str:
    """Where a file lies below `FOLDER`: units need their own names."""
    return f"{system}/{Path(template).parts[1]}/{Path(template).name.removesuffix('.j2')}"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return render(tmp_path_factory.mktemp("rendered"))


@pytest.fixture
def files(machine: Machine, rendered: dict[str, dict[str, str]]) -> Callable[[str], list[str]]:
    """Lay the files down on the host; returns where those of one tool are."""
    unpack = f"echo {given(rendered)} | base64 -d | tar -xz --no-same-owner -C {FOLDER}"
    machine.run(f"rm -rf {FOLDER} && mkdir {FOLDER} && {unpack}")

    def of(tool: str) -> list[str]:
        wanted = [template for template in TEMPLATES if tool_of(template) == tool]
        return [f"{FOLDER}/{place(system, template)}" for system in SYSTEMS for template in wanted]

    return of


def said(machine: Machine, path: str, unit: str) -> list[str]:
    """What systemd says of a unit: anything at all is wrong, since unknown directives are only warnings.

    But for programs that are recorded of the system the unit is for: another system's are not on this host.
    """
    system = Path(path).relative_to(FOLDER).parts[0]
    programs = {program for paths in recorded(system)["packages"].values() for program in paths}
    lines = machine.run(f"systemd-analyze verify {unit} 2>&1 || true").splitlines()
    missing = re.compile(r"Command (\S+) is not executable: No such file or directory")
    return [line for line in lines if not ((found := missing.search(line)) and found[1] in programs)]


def test_systemd_has_nothing_to_say_about_units(machine: Machine, files: Callable[[str], list[str]]) -> None:
    units = files("unit")
    assert units
    for path in units:
        assert said(machine, path, path) == [], path


def test_systemd_has_nothing_to_say_about_drop_ins(
    machine: Machine, files: Callable[[str], list[str]]
) -> None:
    for path in files("drop-in"):
        unit = f"{FOLDER}/drop-in.service"
        machine.run(f"cp {path} {unit}")
        assert said(machine, path, unit) == [], path


def test_service_takes_its_environment(machine: Machine, files: Callable[[str], list[str]]) -> None:
    paths = files("environment")
    assert paths
    for path in paths:
        command = "/opt/stemedb/current/bin/stemedb config --json"
        shown = json.loads(
            machine.run(f"systemd-run --quiet --wait --pipe --property=EnvironmentFile={path} {command}")
        )
        assert shown["server"]["STEMEDB_WAL_DIR"] == {"value": "/data/wal", "from": "environment"}


def test_journal_knows_its_settings(machine: Machine, files: Callable[[str], list[str]]) -> None:
    # Its own file names every setting, commented out. Asking the journal itself would cut off the services'.
    known = set(machine.run("sed -n 's/^#\\?\\([A-Za-z]*\\)=.*/\\1/p' /etc/systemd/journald.conf").split())
    for path in files("journald"):
        used = set(machine.run(f"sed -n 's/^\\([A-Za-z]*\\)=.*/\\1/p' {path}").split())
        assert used
        assert used - known == set()


@pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
def test_netfilter_takes_the_rules(machine: Machine, files: Callable[[str], list[str]], tool: str) -> None:
    for path in files(tool):
        machine.run(f"{tool}-restore --test --noflush {path}")


def test_nginx_takes_its_sites(machine: Machine, files: Callable[[str], list[str]]) -> None:
    for path in files("nginx"):
        # As this host's user: nginx gives its folders to whom a configuration names, even when it only tests.
        config = f"user www-data; events {{}} http {{ include /etc/nginx/mime.types; include {path}; }}"
        machine.run(f"echo {shlex.quote(config)} > {FOLDER}/nginx.conf && nginx -t -q -c {FOLDER}/nginx.conf")


def test_prometheus_takes_its_files(machine: Machine, files: Callable[[str], list[str]]) -> None:
    for path in files("prometheus"):
        machine.run(f"promtool check config --syntax-only {path}")
    for path in files("rules"):
        machine.run(f"promtool check rules {path}")


def test_shell_and_logrotate_take_theirs(machine: Machine, files: Callable[[str], list[str]]) -> None:
    for path in files("shell"):
        machine.run(f"bash -n {path}")
    for path in files("logrotate"):
        machine.run(f"logrotate --debug {path}")


def test_dashboards_are_json(rendered: dict[str, dict[str, str]]) -> None:
    for system in SYSTEMS:
        for template in TEMPLATES:
            if tool_of(template) == "json":
                json.loads(rendered[system][template])


def test_system_is_as_recorded(machine: Machine) -> None:
    facts = machine.host.ansible("setup")["ansible_facts"]
    family = {"Debian": "debian-12", "Ubuntu": "ubuntu-22.04"}
    known = recorded(family.get(facts["ansible_distribution"], "redhat-9"))
    for name in ("distribution_major_version", "os_family", "pkg_mgr", "service_mgr"):
        assert facts[f"ansible_{name}"] == known["facts"][name]
    assert machine.run("systemctl --version").startswith(f"systemd {known['versions']['systemd']} ")
    query = (
        "dpkg-query -W -f '${Package}\\n'"
        if known["facts"]["pkg_mgr"] == "apt"
        else "rpm -qa --qf '%{NAME}\\n'"
    )
    seen = set(machine.run(query).split()) & known["packages"].keys()
    assert seen
    for package in seen:  # files may come with a package below it, or as an alternative
        machine.run(" && ".join(["true", *(f"test -e {path}" for path in known["packages"][package])]))
