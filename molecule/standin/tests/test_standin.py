"""What is Red Hat's about the stand-in: dnf, the family's names and paths, and no SELinux."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
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


@pytest.mark.parametrize(
    "unit",
    [
        *("nginx.service", "stemedb-tls-expiry.timer", "prometheus-node-exporter.service"),
        *(
            "stemedb-firewall.service",
            "stemedb-archive.service",
            "stemedb-verify.timer",
            "stemedb-drill.timer",
        ),
    ],
)
def test_runs_what_stands_around_the_service(machine: Machine, unit: str) -> None:
    state = machine.shown(unit, "ActiveState", "UnitFileState", "NeedDaemonReload")
    assert state == {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}


def test_serves_over_tls_beside_the_familys_own_server(machine: Machine) -> None:
    machine.run("nginx -t && test -f /etc/nginx/conf.d/stemedb.conf && test ! -e /etc/nginx/sites-enabled")
    asked = (
        "import ssl, http.client as h;"
        "c = h.HTTPSConnection('127.0.0.1', context=ssl._create_unverified_context());"
        "c.request('GET', '/v1/health'); print(c.getresponse().status);"
        "c = h.HTTPConnection('127.0.0.1'); c.request('GET', '/'); print(c.getresponse().status)"
    )
    assert machine.run(f'python3 -c "{asked}"').split() == ["200", "308"]


def test_shows_the_hosts_metrics_by_the_familys_program(machine: Machine) -> None:
    assert "path=/usr/bin/node_exporter ;" in machine.run(
        "systemctl show --property=ExecStart prometheus-node-exporter.service"
    )
    asked = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100/metrics').read().decode())"
    shown = machine.run(f'python3 -c "{asked}"')
    assert "stemedb_tls_cert_expiry_seconds " in shown
    assert "node_memory_MemTotal_bytes " in shown


def test_makes_a_backup_by_the_pilots_script(machine: Machine) -> None:
    machine.run("crontab -l | grep -q '^0 2 [*] [*] [*] /usr/local/bin/backup-stemedb.sh '")
    before = machine.run("ls /backups").split()
    machine.run("/usr/local/bin/backup-stemedb.sh")
    assert len(machine.run("ls /backups").split()) > len(before)
