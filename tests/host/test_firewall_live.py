"""The firewall on a host of its own: from outside, beside others' rules, locked out, killed, loaded again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.host.containers import Container, Outside, container
from tests.host.modules import load
from tests.host.playbook import BIN, ROOT, Run, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

REVERT_S = 12
# As Docker and fail2ban have theirs.
FOREIGN = """
iptables -N f2b-sshd
iptables -A f2b-sshd -s 198.51.100.7/32 -j REJECT
iptables -A f2b-sshd -j RETURN
iptables -I INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
iptables -N DOCKER
iptables -A FORWARD -o docker0 -j DOCKER
iptables -A DOCKER -d 172.17.0.2/32 -p tcp --dport 80 -j ACCEPT
iptables -t nat -N DOCKER
iptables -t nat -A DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
ip6tables -N f2b-sshd
ip6tables -I INPUT -p tcp --dport 22 -j f2b-sshd
"""
# All tables of both families, without counters; our own chain and jump left out.
TABLES = "{ iptables-save; ip6tables-save; } | grep -v -e '^#' -e STEMEDB | sed 's/\\[[0-9:]*\\]//'"
LISTEN = """
systemd-run --quiet --unit=listen-{0} python3 -c '
import socket, time
server = socket.create_server(("::", {0}), family=socket.AF_INET6, dualstack_ipv6=True)
time.sleep(9999)'
"""
PLAYBOOK = "tests/host/firewall.yml"
LOCKED_OUT = {
    "stemedb_firewall_bastion_networks": ["198.51.100.0/24"],
    "stemedb_firewall_revert_s": str(REVERT_S),  # as an INI inventory would hand it over
}
OPEN, CLOSED = [22, 80, 443], [9090, 9093, 9100, 18180]

firewall = load("stemedb_firewall", "stemedb_firewall")


class Firewalled:
    """A host on which others have rules of their own, and the run of the one role."""

    def __init__(self, host: Container, folder: Path) -> None:
        self.host = host
        self.inventory = str(host.inventory(folder))
        host.run(FOREIGN)
        self.foreign = host.run(TABLES)
        self.outside = Outside(host)
        for port in {*OPEN, *CLOSED} - {22}:
            host.run(LISTEN.format(port))

    def play(self, *arguments: str, **variables: object) -> Run:
        return play("-i", self.inventory, PLAYBOOK, *arguments, variables=variables)

    def timers(self) -> str:
        return self.host.run("systemctl list-units --all --plain --no-legend 'stemedb-firewall-*'")


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firewalled]:
    folder = tmp_path_factory.mktemp("firewall")
    with container("firewall", folder) as host:
        yield Firewalled(host, folder)


class Watch(threading.Thread):
    """Connects to SSH again and again, and keeps the longest time without success."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.ended = threading.Event()
        self.away_s = 0.0

    def run(self) -> None:
        seen = time.monotonic()
        # Not more often: sshd turns some away, the next command of the test too, when ten have not logged in.
        while not self.ended.wait(0.25):
            try:
                socket.create_connection((self.address, 22), timeout=0.5).close()
            except OSError:
                continue
            now = time.monotonic()
            self.away_s, seen = max(self.away_s, now - seen), now


def locked_out(walled: Firewalled, record: Callable[[str, object], None], when: str) -> None:
    """Run with rules that cut the controller off."""
    watch = Watch(walled.host.address)
    watch.start()
    run = walled.play(**LOCKED_OUT)
    watch.ended.set()
    watch.join()
    record(f"seconds without SSH, {when}, with a timer of {REVERT_S} s", round(watch.away_s, 1))
    assert run.status != 0
    assert "would have cut this controller off" in run.output
    assert watch.away_s > REVERT_S / 2, "the rules never cut anybody off"
    assert walled.host.run(TABLES) == walled.foreign
    assert walled.timers() == ""


def test_comes_back_where_there_were_no_rules(
    walled: Firewalled, record_property: Callable[[str, object], None]
) -> None:
    locked_out(walled, record_property, "first run")
    assert walled.host.run("iptables-save | grep -c STEMEDB || true") == "0\n"
    assert walled.host.run("ls /etc/iptables 2>/dev/null || true") == ""


def test_brings_its_rules_beside_those_of_others(walled: Firewalled) -> None:
    predicted = walled.play("--check")
    run = walled.play()
    assert (predicted.status, run.status) == (0, 0), predicted.output + run.output
    assert predicted.changed == run.changed - 1  # the start of a unit that is not installed yet
    assert walled.host.run(TABLES) == walled.foreign
    for command in ("iptables", "ip6tables"):
        assert walled.host.run(f"{command} -S INPUT 1") == "-A INPUT -j STEMEDB\n"
    assert walled.timers() == ""


@pytest.mark.parametrize("version", [4, 6])
def test_is_closed_from_outside(walled: Firewalled, version: int) -> None:
    ports = [*OPEN, *CLOSED]
    assert [port for port in ports if walled.outside.reaches(port, version)] == OPEN


def test_is_open_to_its_own(walled: Firewalled) -> None:
    socket.create_connection((walled.host.address, 18180), timeout=5).close()  # the controller's is 10.x
    with pytest.raises(TimeoutError):
        socket.create_connection((walled.host.address, 9100), timeout=1)
    for address in ("127.0.0.1", "::1", "203.0.113.1"):
        code = f"import socket; socket.create_connection(('{address}', 9100), 5)"
        walled.host.run(f'python3 -c "{code}"')


def test_changes_nothing_when_run_again(walled: Firewalled) -> None:
    for arguments in ([], ["--check"]):
        run = walled.play(*arguments)
        assert (run.status, run.changed) == (0, 0), run.output


def test_opens_what_is_asked_for(walled: Firewalled) -> None:
    run = walled.play(
        stemedb_firewall_monitoring_networks=["203.0.113.0/24"],
        stemedb_firewall_internal_networks=["10.0.0.0/8", "2001:db8::/32"],
        stemedb_firewall_client_networks=[],
        stemedb_firewall_bastion_networks=["10.0.0.0/8"],
    )
    assert run.status == 0, run.output
    ports = [*OPEN, *CLOSED]
    assert [port for port in ports if walled.outside.reaches(port)] == [9090, 9093, 9100]
    assert [port for port in ports if walled.outside.reaches(port, 6)] == [18180]


def test_comes_back_to_the_former_rules(
    walled: Firewalled, record_property: Callable[[str, object], None]
) -> None:
    assert walled.play().status == 0
    before = walled.host.run("iptables -S STEMEDB; ip6tables -S STEMEDB; cat /etc/iptables/*")
    locked_out(walled, record_property, "later run")
    assert walled.host.run("iptables -S STEMEDB; ip6tables -S STEMEDB; cat /etc/iptables/*") == before


def test_can_be_killed_before_it_has_confirmed(walled: Firewalled) -> None:
    command = [str(BIN / "ansible-playbook"), "-i", walled.inventory, PLAYBOOK]
    variables = ["-e", "{stemedb_firewall_monitoring_networks: [192.0.2.0/24]}"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    with subprocess.Popen(
        [*command, *variables],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "Confirm the rules over" in line:
                os.killpg(run.pid, signal.SIGKILL)
    assert "stemedb-firewall-revert.timer" in walled.timers()
    again = walled.play(stemedb_firewall_monitoring_networks=["192.0.2.0/24"])
    assert again.status == 0, again.output
    assert walled.timers() == ""
    assert "192.0.2.0/24" in walled.host.run("iptables -S STEMEDB; cat /etc/iptables/rules.v4")


def test_loads_its_rules_before_the_network(walled: Firewalled) -> None:
    shown = walled.host.run("systemctl show stemedb-firewall -p Before,UnitFileState,Result")
    assert "network-pre.target" in shown
    assert "UnitFileState=enabled" in shown
    live = walled.host.run("iptables-save -t filter; ip6tables-save -t filter").count("STEMEDB")
    for command in ("iptables", "ip6tables"):
        walled.host.run(f"{command} -D INPUT -j STEMEDB; {command} -F STEMEDB; {command} -X STEMEDB")
    walled.host.run("systemctl restart stemedb-firewall")
    assert walled.host.run("iptables-save -t filter; ip6tables-save -t filter").count("STEMEDB") == live
    assert walled.host.run(TABLES) == walled.foreign
    assert walled.host.run("systemd-analyze verify stemedb-firewall.service 2>&1") == ""


def test_leaves_anothers_file_alone(walled: Firewalled) -> None:
    walled.host.run("echo '# somebody else' > /etc/iptables/rules.v4")
    assert walled.play().status == 0
    assert walled.host.run("cat /etc/iptables/rules.v4") == "# somebody else\n"
    assert walled.host.run("systemctl cat stemedb-firewall | grep -c /etc/iptables/stemedb.v4") == "1\n"
    assert walled.host.run("head -c 40 /etc/iptables/stemedb.v4").startswith(firewall.MARK[:30])


def test_stops_where_another_decides(walled: Firewalled) -> None:
    # Their packages are not on the host: what matters is what the preflight looks at.
    walled.host.run("systemd-run --quiet --unit=firewalld sleep 999")
    walled.host.run("mkdir -p /etc/ufw; echo ENABLED=yes > /etc/ufw/ufw.conf; touch /usr/sbin/ufw")
    looked = play("-i", walled.inventory, "site.yml", "--tags", "preflight")
    assert looked.status != 0
    assert "stop  firewall" in looked.output
    assert "firewalld and ufw is active; disable firewalld and ufw, or leave the rules to it" in looked.output
    left: dict[str, object] = {"stemedb_firewall_enabled": "false"}
    looked = play("-i", walled.inventory, "site.yml", "--tags", "preflight", variables=left)
    assert "stop  firewall" not in looked.output
    walled.host.run("systemctl stop firewalld; rm /etc/ufw/ufw.conf /usr/sbin/ufw")


def test_prints_commands_that_come_to_the_same(walled: Firewalled) -> None:
    assert walled.play().status == 0
    wanted = walled.host.run("iptables -S STEMEDB; ip6tables -S STEMEDB")
    run = walled.play(stemedb_firewall_enabled="false")
    assert (run.status, run.changed) == (0, 0), run.output
    lines = [line.strip() for line in run.output.splitlines()]
    commands = [line for line in lines if line.startswith(("iptables -", "ip6tables -"))]
    assert any(line.startswith("ufw allow proto tcp from 10.0.0.0/8 to any port 18180") for line in lines)
    assert any("firewall-cmd --permanent --add-rich-rule" in line for line in lines)
    found = walled.outside.tried("\n".join([*commands, "iptables -S STEMEDB", "ip6tables -S STEMEDB"]))
    assert found.returncode == 0, found.stderr
    assert firewall.normalised(found.stdout.splitlines()) == firewall.normalised(wanted.splitlines())
