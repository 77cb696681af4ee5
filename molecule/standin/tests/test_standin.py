"""What is Red Hat's about the stand-in: dnf, the family's names and paths, and no SELinux."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.host.live.conftest import Machine


def test_is_taken_for_red_hat(machine: Machine) -> None:
    facts = machine.host.ansible("setup")["ansible_facts"]
    seen = {name: facts[f"ansible_{name}"] for name in ("os_family", "distribution", "pkg_mgr")}
    assert seen == {"os_family": "RedHat", "distribution": "RedHat", "pkg_mgr": "dnf"}
    assert facts["ansible_distribution_major_version"] == "9"


def test_has_no_selinux(machine: Machine) -> None:
    facts = machine.host.ansible("setup")["ansible_facts"]
    assert facts["ansible_selinux"]["status"] != "enabled"
