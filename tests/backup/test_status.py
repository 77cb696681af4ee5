"""What the service tells of its backups: health, /v1/admin/backup, copies of what was erased, a lost log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stemedb import limits
from stemedb.backup.layout import STATE_NAME, ArchiveState, read_state
from stemedb.backup.status import BackupStatus
from tests.backup.conftest import Site
from tests.backup.helpers import Data, restore_to
from tests.cli.running import wait_until
from tests.e2e.signing import claim, line


def test_the_service_tells_how_its_backups_stand(tmp_path: Path) -> None:
    made = Site(tmp_path, env={"STEMEDB_BACKUP_DIR": str(tmp_path / "backups")})
    try:
        made.service.start()
        unknown = made.service.get("/v1/admin/backup").json()
        assert unknown["configured"]
        assert unknown["archive"] is unknown["last_backup"] is unknown["last_drill"] is None
        made.start_archive()
        found = made.service.post("/v1/assert", claim()).json()
        made.cli("backup", "create", "--to", made.backups)
        made.cli("backup", "verify", "--from", made.backups, "--trust-key", made.trust)
        scratch = ("--scratch", tmp_path / "scratch")
        made.cli("drill", "--from", made.backups, "--trust-key", made.trust, *scratch)
        told = made.service.get("/v1/admin/backup").json()
        assert told["last_backup"]["claims_count"] == 1
        assert told["last_drill"]["result"] == "pass"
        assert told["verified_at"] >= told["last_backup"]["created_at"]
        assert told["archive"]["behind_records"] == 0
        assert told["trouble"] == ""
        assert made.service.get("/v1/health").json()["checks"]["archive"] == "ok"
        copies = [{"name": "restic on s3", "keep_days": 90}]
        (made.backups / "copies.json").write_text(json.dumps(copies))
        wanted = {"hashes": [found["hash"]], "reason": "asked", "now": True}
        first = made.service.post("/v1/admin/erase", wanted).json()
        assert [each["name"] for each in first["copies"]] == [
            "log",
            "view",
            "archive",
            "snapshots",
            "restic on s3",
        ]
        wait_until(lambda: states(made, wanted)["snapshots"] == "done", "erased in the snapshots")
        assert states(made, wanted)["archive"] == "done"
        assert states(made, wanted)["restic on s3"] == "pending"
    finally:
        made.close()


def states(made: Site, wanted: dict[str, object]) -> dict[str, str]:
    """Ask again for what was erased; return each copy's state."""
    copies = made.service.post("/v1/admin/erase", wanted).json()["copies"]
    return {each["name"]: each["state"] for each in copies}


def test_an_archive_that_falls_behind_is_said_in_health(site: Site) -> None:
    site.service.bulk([line(1)])
    site.wait_archived()
    told = BackupStatus(site.backups)
    assert told.trouble(site.head_seq, lambda _seq: 0) == ""
    late = int(1e6 * 1e9)
    assert "1 records are not archived" in told.trouble(site.head_seq + 1, lambda _seq: late)
    assert BackupStatus(site.backups / "none").trouble(5, lambda _seq: late).startswith("5 records")
    assert limits.ARCHIVE_LAG_S_MAX == 60


def test_a_log_that_ends_before_its_archive_is_refused_at_the_start(tmp_path: Path) -> None:
    data = Data(tmp_path)
    data.say(50)
    data.archive()
    restore_to(data, tmp_path / "site", 20)
    made = Site(tmp_path / "site", env={"STEMEDB_BACKUP_DIR": str(data.backups)})
    try:
        made.service.start(wait=False)
        assert made.service.wait() == 65
        assert "ends with record 20, but record 51 was folded or archived" in made.service.log
    finally:
        made.close()


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"head": 1}'])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "wal").mkdir()
    for path in (tmp_path / "wal" / STATE_NAME, tmp_path / "drill.json", tmp_path / "copies.json"):
        path.write_bytes(text)
    told = BackupStatus(tmp_path)
    assert told.status(5).archive is None
    assert told.known_seq(tmp_path) == 0
    assert told.copies(3) == []
    assert read_state(tmp_path / "wal" / "none.json", ArchiveState) is None
