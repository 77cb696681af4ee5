"""node_exporter out of an archive with a known SHA-256, where the distribution has brought none; and back."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.host.containers import Container, container
from tests.host.playbook import Run, play

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

UNIT = "prometheus-node-exporter.service"
EXPOSURE_MAX = 2.0
# What the distribution's package leaves is gone, too: what runs afterwards came out of the archive.
BARE = """
dpkg --purge prometheus-node-exporter prometheus-node-exporter-collectors >/dev/null 2>&1 || true
test ! -e /usr/bin/prometheus-node-exporter
"""
ASK = """
python3 -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:9100/metrics").read().decode())'
"""
RUNS = f"readlink /proc/$(systemctl show --value --property=MainPID {UNIT})/exe"


def released(folder: Path, version: str, binary: bytes) -> tuple[Path, str]:
    """An archive in the shape of the project's own, and its SHA-256."""
    name = f"node_exporter-{version}.linux-amd64"
    path = folder / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for file, content, mode in (("LICENSE", b"Apache", 0o644), ("node_exporter", binary, 0o755)):
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size, member.mode, member.uid, member.gid = len(content), mode, 1001, 1001
            tar.addfile(member, io.BytesIO(content))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


class Exported:
    """A host, and the run of the one role."""

    def __init__(self, host: Container, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.inventory = str(host.inventory(folder))
        # The distribution's program stands for the project's: one is built as the other.
        self.binary = host.ssh_bytes("cat /usr/bin/prometheus-node-exporter")
        host.run("install -d -m 1775 /var/lib/stemedb-metrics")

    def play(self, archive: Path, sha256: str, *arguments: str) -> Run:
        """Run it with an archive."""
        variables: dict[str, object] = {
            "stemedb_node_exporter_install": "archive",
            "stemedb_node_exporter_archive": str(archive),
            "stemedb_node_exporter_archive_sha256": sha256,
        }
        return self.play_package(*arguments, variables=variables)

    def play_package(self, *arguments: str, variables: dict[str, object] | None = None) -> Run:
        """Run it as it is by default."""
        return play("-i", self.inventory, "tests/host/exporter.yml", *arguments, variables=variables)

    def state(self, *names: str) -> list[str]:
        """Properties of the unit, in their names' order."""
        return sorted(self.host.run(f"systemctl show {UNIT} -p {','.join(names)}").split())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("exporter")
    with container("exporter", folder) as host:
        exported = Exported(host, folder)
        host.run(BARE)
        yield exported


def test_refuses_another_archive_than_the_one_that_was_meant(exported: Exported) -> None:
    archive, sha256 = released(exported.folder, "1.0.0", exported.binary)
    for given in ("0" * 64, "", sha256[:-1]):
        run = exported.play(archive, given)
        assert run.status != 0
        assert "has another SHA-256 than" in run.output
    for missing in ("", sha256):
        run = exported.play(exported.folder / "missing.tar.gz", missing)
        assert run.status != 0
        assert "is no file" in run.output
    assert exported.host.run(f"ls /opt; ls /etc/systemd/system/{UNIT}* 2>/dev/null || true") == ""


def test_runs_what_the_archive_holds(exported: Exported) -> None:
    archive, sha256 = released(exported.folder, "1.0.0", exported.binary)
    predicted = exported.play(archive, sha256.upper(), "--check")
    run = exported.play(archive, sha256.upper())
    assert (predicted.status, run.status) == (0, 0), predicted.output + run.output
    assert exported.host.run(RUNS) == f"/opt/node_exporter/{sha256[:8]}/node_exporter\n"
    exported.host.run("umask 022; echo probe_left 7 > /var/lib/stemedb-metrics/probe.prom")
    shown = exported.host.run(ASK)
    assert "probe_left 7" in shown
    assert "node_memory_MemTotal_bytes " in shown
    state = exported.state("ActiveState", "UnitFileState", "NRestarts")
    assert state == ["ActiveState=active", "NRestarts=0", "UnitFileState=enabled"]
    again = exported.play(archive, sha256)
    assert (again.status, again.changed) == (0, 0), again.output


def test_belongs_to_root_and_is_shut_in(exported: Exported) -> None:
    owners = exported.host.run("find /opt/node_exporter ! -user root -o ! -group root -o -perm /022")
    assert owners == ""
    assert exported.host.run(f"systemd-analyze verify {UNIT} 2>&1") == ""
    report = exported.host.run(f"systemd-analyze security --no-pager {UNIT}")
    found = re.search(rf"Overall exposure level for {UNIT}: ([0-9.]+)", report)
    assert found is not None, report
    assert float(found[1]) <= EXPOSURE_MAX, report


def test_changes_to_another_archive_and_builds_what_was_cut_short(exported: Exported) -> None:
    # One byte behind a program's end is no part of it.
    archive, sha256 = released(exported.folder, "1.0.1", exported.binary + b"\0")
    # A run that was killed while it wrote the program.
    folder = f"/opt/node_exporter/{sha256[:8]}"
    exported.host.run(f"mkdir {folder} && head -c 1000 /proc/self/exe > {folder}/node_exporter.new")
    run = exported.play(archive, sha256)
    assert run.status == 0, run.output
    assert exported.host.run(RUNS) == f"{folder}/node_exporter\n"
    assert exported.host.run(f"ls {folder}") == "node_exporter\n"


def test_goes_back_to_the_package(tmp_path: Path) -> None:
    with container("exporter-back", tmp_path) as host:
        exported = Exported(host, tmp_path)
        archive, sha256 = released(tmp_path, "1.0.0", exported.binary)
        taken = exported.play(archive, sha256)
        assert taken.status == 0, taken.output
        assert host.run(RUNS) == f"/opt/node_exporter/{sha256[:8]}/node_exporter\n"
        predicted = exported.play_package("--check")
        run = exported.play_package()
        assert (predicted.status, run.status) == (0, 0), predicted.output + run.output
        assert predicted.changed == run.changed - 1  # to a check, what it has not disabled is enabled still
        assert host.run(RUNS) == "/usr/bin/prometheus-node-exporter\n"
        assert "node_memory_MemTotal_bytes " in host.run(ASK)
        assert exported.state("ActiveState", "FragmentPath", "UnitFileState") == [
            "ActiveState=active",
            f"FragmentPath=/lib/systemd/system/{UNIT}",
            "UnitFileState=enabled",
        ]
        # The way back leaves nothing, not even links that lead nowhere.
        assert host.run("ls /opt; find /etc/systemd/system -xtype l") == ""
        again = exported.play_package()
        assert (again.status, again.changed) == (0, 0), again.output
