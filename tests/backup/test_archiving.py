"""`stemedb archive` beside a service: within moments, through stops, kills and disks that go away."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import stat
from contextlib import closing
from pathlib import Path

from stemedb.log import FolderLock
from tests.backup.conftest import Site
from tests.backup.helpers import check_same
from tests.cli.running import Cli, wait_until
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import line


def metric(site: Site, name: str) -> float:
    """Read a metric from the archive's textfile; -1 while there is none."""
    path = site.metrics / "stemedb_archive.prom"
    if not path.exists():
        return -1
    text = path.read_text()
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_everything_is_archived_and_the_metrics_say_so(site: Site) -> None:
    site.service.bulk([line(number) for number in range(500)])
    seq = site.wait_archived()
    wait_until(lambda: metric(site, "stemedb_archive_seq") == seq, "told in metrics")
    assert metric(site, "stemedb_archive_lag_seconds") == 0
    assert metric(site, "stemedb_archive_behind_bytes") == 0
    assert metric(site, "stemedb_archive_last_update_timestamp_seconds") > 1.7e9
    assert stat.S_IMODE((site.metrics / "stemedb_archive.prom").stat().st_mode) == 0o644
    assert site.archiving
    site.archiving.send_signal(signal.SIGTERM)
    assert site.archiving.wait(10) == 0
    check_same(site.folder / "wal", site.backups / "wal")


def test_kills_of_service_and_archive_lose_nothing(site: Site) -> None:
    for turn in range(4):
        site.service.bulk([line(turn * 100 + number) for number in range(100)])
        if turn % 2:
            site.service.kill()
            site.service.start()
        else:
            site.stop_archive(kill=True)
            site.start_archive()
    site.wait_archived()
    site.service.stop()
    check_same(site.folder / "wal", site.backups / "wal")


def test_a_target_that_goes_away_is_shouted_about_and_filled_again(site: Site) -> None:
    site.wait_archived()
    shutil.rmtree(site.backups)
    site.service.bulk([line(number) for number in range(50)])
    wait_until(lambda: metric(site, "stemedb_archive_behind_bytes") > 0, "behind")
    assert site.service.get("/v1/health").json()["status"] == "healthy"  # the log waits for nobody
    site.backups.mkdir()
    site.wait_archived()
    wait_until(lambda: metric(site, "stemedb_archive_lag_seconds") == 0, "caught up")
    site.service.stop()
    check_same(site.folder / "wal", site.backups / "wal")


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    made = Site(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        made.cli.env |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        try:
            made.start()
            told: set[str] = set()
            while not {"READY=1", "WATCHDOG=1"} <= told or not any("is archived" in each for each in told):
                told.update(manager.recv(4096).decode().splitlines())
        finally:
            made.close()


def test_it_refuses_what_it_cannot_do(site: Site, tmp_path: Path) -> None:
    site.wait_archived()
    done = site.cli.run("archive", "--to", site.backups / "wal")
    assert done.returncode == 75
    assert "in use by process" in done.stderr.splitlines()[-1]
    assert "is called wal" in site.cli.error("archive", "--to", site.backups / "log", code=78)
    bare = Cli(tmp_path / "bare", None)
    bare.env["STEMEDB_WAL_DIR"] = str(tmp_path / "nothing")
    assert "server's key" in bare.error("archive", "--to", tmp_path / "wal", code=78)
    other = ServiceProcess(tmp_path / "other", env={"STEMEDB_DISK_FLOOR_MB": "1"})
    other.folder.mkdir()
    other.start().stop()
    env = {"STEMEDB_WAL_DIR": other.env["STEMEDB_WAL_DIR"]}
    site.stop_archive()
    said = site.cli.error("archive", "--to", site.backups / "wal", code=65, env=env)
    assert "move the folder away" in said


def test_a_start_while_a_backup_archives_waits_for_it(site: Site) -> None:
    site.wait_archived()
    site.stop_archive()
    with closing(FolderLock(site.backups / "wal")):
        site.start_archive()
        assert site.archiving
        assert site.archiving.stderr
        assert "in use by" in site.archiving.stderr.readline()
    site.service.bulk([line(1)])
    site.wait_archived()
