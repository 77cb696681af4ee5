"""What is Red Hat's about the stand-in: dnf, the family's names and paths, and no SELinux."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from tests.host.playbook import ROOT

if TYPE_CHECKING:
    from tests.host.live.conftest import Machine

OS_VARS = ROOT / "roles" / "stemedb_common" / "vars" / "os"


def test_is_taken_for_red_hat(machine: Machine) -> None:
    facts = machine.host.ansible("setup")["ansible_facts"]
    seen = {name: facts[f"ansible_{name}"] for name in ("os_family", "distribution", "pkg_mgr")}
    assert seen == {"os_family": "RedHat", "distribution": "RedHat", "pkg_mgr": "dnf"}
    assert facts["ansible_distribution_major_version"] == "9"


def test_has_no_selinux(machine: Machine) -> None:
    facts = machine.host.ansible("setup")["ansible_facts"]
    assert facts["ansible_selinux"]["status"] != "enabled"


def test_dnf_installs_what_the_roles_name(machine: Machine) -> None:
    # The stand-in's programs are there already, so that no role has had a reason to ask for a package.
    named = [
        value
        for name in ("redhat", "redhat-9")
        for key, value in yaml.safe_load((OS_VARS / f"{name}.yml").read_text()).items()
        if key.endswith("_package")
    ]
    assert named
    machine.host.ansible("package", f"name={','.join(named)} state=present", check=False, become=True)
    machine.run(f"rpm --query {' '.join(named)}")


def test_keeps_the_rules_where_the_family_has_them(machine: Machine) -> None:
    machine.run(
        "test -s /etc/sysconfig/iptables && test -s /etc/sysconfig/ip6tables && test ! -e /etc/iptables"
    )
