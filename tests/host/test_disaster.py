"""A host is lost under load: for practice, then in earnest; what comes back on another host is counted."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from stemedb.client import Client, sign
from stemedb.errors import StemedbError
from stemedb.model import Assertion, ObjectKind, Signer, Value
from tests.host.containers import Container, container
from tests.host.playbook import ROOT, play
from tools import converged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.host.playbook import Run

pytestmark = pytest.mark.slow

# A hundred claims a second, as the pilot plans for.
WRITERS, PERIOD_S = 4, 0.04
LOST_S_MAX = 1.0
WAIT_S = 60.0


class Load:
    """Writers that go on until nobody answers any more, and note what was acknowledged when."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.acknowledged: list[tuple[int, float]] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, number: int) -> None:
        signer = Signer(bytes([number + 1]) * 32)
        sent = 0
        with Client(self.url, timeout_s=5, patience_s=0) as client:
            while not self.over.wait(PERIOD_S):
                value = Value(ObjectKind.NUMBER, float(sent))
                claim = Assertion(f"load://{number}", "beat", value, 0.5, int(time.time()))
                try:
                    reply = client.assert_claim(sign(claim, signer))
                except StemedbError:
                    return
                self.acknowledged.append((reply.seq, time.time()))
                sent += 1

    def seq(self) -> int:
        return max((seq for seq, _ in self.acknowledged), default=0)

    def wait_for(self, seq: int) -> None:
        deadline = time.monotonic() + WAIT_S
        while self.seq() < seq:
            assert time.monotonic() < deadline, f"{self.seq()} of {seq} records"
            time.sleep(0.05)

    def end(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def stated(lost: Container, spare: Container, folder: Path) -> Path:
    """Write an inventory with the host and its spare."""
    hosts = {}
    for group, host in (("stemedb", lost), ("stemedb_drill", spare)):
        (folder / host.name).mkdir()
        inventory = json.loads(host.inventory(folder / host.name).read_text())
        hosts[group] = {"hosts": inventory["stemedb"]["hosts"]}
    path = folder / "hosts.json"
    path.write_text(json.dumps(hosts))
    return path


def started(folder: Path, name: str, root: str, stack: ExitStack) -> Container:
    (folder / f"ssh-{name}").mkdir()
    return stack.enter_context(container(name, folder / f"ssh-{name}", root=root))


def well(run: Run) -> str:
    assert run.status == 0, run.output
    return run.output


class Site(NamedTuple):
    """A host under load that has archived what it took and made a backup; its server's public key."""

    host: Container
    load: Load
    key: str

    def variables(self) -> dict[str, object]:
        return {"stemedb_restore_from": "/backups", "stemedb_restore_trust_key": self.key}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A host, its writers, and its first backup."""
    with ExitStack() as stack:
        host = started(tmp_path_factory.mktemp("lost"), "lost", converged.root(), stack)
        host.run(
            "echo STEMEDB_METER_ENABLED=false >> /etc/stemedb/config.env\n"
            "systemctl restart stemedb-api.service && until stemedb status; do sleep 0.2; done\n"
            "stemedb backup key > /etc/stemedb/trusted_keys"
        )
        load = Load(f"http://{host.address}:18180")
        stack.callback(load.end)
        load.wait_for(300)
        host.run("/usr/local/bin/backup-stemedb.sh")
        yield Site(host, load, host.run("stemedb backup key").strip())


def test_the_drill_makes_a_bare_host_a_copy_and_says_what_a_loss_would_cost(
    site: Site, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with ExitStack() as stack:
        bare = started(tmp_path, "drilled", "", stack)
        drill = ("-i", str(stated(site.host, bare, tmp_path)), str(ROOT / "playbooks/drill.yml"))
        said = well(play(*drill, variables={"stemedb_restore_trust_key": site.key}))
        for name, figure in re.findall(r"(R[PT]O): ([^'\n]*)", said):
            record_property(f"drill, {name}", figure)
        assert re.search(r"RPO: at most the last \d+ records, of [0-2]\.\d s", said), said
        assert "are the same on both" in said
        # The copy is backed up in the same folder, and what it was restored from stays believed.
        bare.run("/usr/local/bin/backup-stemedb.sh && systemctl start stemedb-drill.service")
        refused = play(*drill, variables={"stemedb_restore_trust_key": site.key})
        assert refused.status != 0
        assert "is no spare host" in refused.output
        assert site.host.run("ls -A /var/tmp | grep stemedb-drill || true") == ""


def test_what_a_lost_host_held_comes_back_on_another(
    site: Site, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    load = site.load
    load.wait_for(load.seq() + 300)
    # The folders go under the running process, then the process.
    said = site.host.run(
        "date +%s.%N; rm -rf /data/wal /data/db\n"
        "systemctl kill --signal=KILL stemedb-api.service\n"
        "systemctl stop stemedb-api.socket stemedb-api.service stemedb-archive.service"
    )
    load.end()
    removed_at, began = float(said), time.monotonic()
    with ExitStack() as stack:
        other = started(tmp_path, "other", converged.root(), stack)
        other.run(
            "systemctl stop stemedb-api.socket stemedb-api.service stemedb-archive.service\n"
            "rm -rf /data/wal/* /data/db/* /backups/*"
        )
        carry(site.host, other)
        restore = ("-i", str(other.inventory(tmp_path)), str(ROOT / "playbooks/restore.yml"))
        said = well(play(*restore, variables=site.variables()))
        rto_s = time.monotonic() - began
        assert "Left to you: let the name that clients use point here" in said

        last = json.loads(other.run("stemedb log head --json"))["seq"]
        missing = [at for seq, at in load.acknowledged if seq > last]
        record_property(
            "a host lost under load",
            f"{len(missing)} of {len(load.acknowledged)} claims lost, acknowledged from "
            f"{removed_at - min(missing, default=removed_at):.2f} s before the data went on; "
            f"serving on another host after {rto_s:.0f} s",
        )
        assert last > 600
        assert all(at > removed_at - LOST_S_MAX for at in missing)
        other.run("/usr/local/bin/backup-stemedb.sh && systemctl start stemedb-drill.service")
        again = play(*restore, variables=site.variables())
        assert again.status != 0
        assert "holds data already" in again.output


def carry(source: Container, target: Container) -> None:
    """Carry the backups to another host, as whoever has their disk would."""
    packed = source.ssh_bytes("tar -C /backups -c .", sudo=True)
    subprocess.run(
        ["ssh", "-F", target.ssh_config, target.login, "sudo", "tar", "-C", "/backups", "-x"],
        input=packed,
        check=True,
        timeout=300,
    )
