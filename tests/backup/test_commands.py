"""The commands as an operator runs them, beside a service: backups, moments, drills, refusals, erasing."""

from __future__ import annotations

import json
import shutil
import stat
import threading
import time
import urllib.parse
from contextlib import suppress
from http.client import HTTPException
from itertools import count
from pathlib import Path

import msgspec
import pytest

from stemedb.backup.drill import note_result
from stemedb.backup.layout import STATE_NAME, ArchiveState, read_state, write_state
from tests.backup.conftest import Site
from tests.cli.running import wait_until
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import WHEN_S, claim, line
from tests.e2e.test_quarantine import held, junk

LOST_S_MAX = 1.0


@pytest.fixture
def trusting(site: Site) -> tuple[str, ...]:
    """The options by which every command believes the site's server."""
    return ("--from", str(site.backups), "--trust-key", site.trust)


def folders(folder: Path) -> tuple[str, ...]:
    """Return the options for data in this folder."""
    return ("--wal-dir", str(folder / "wal"), "--db-dir", str(folder / "db"))


def measured(number: int) -> bytes:
    """Return a claim of many about the same."""
    value = {"type": "Number", "value": float(number)}
    return msgspec.json.encode(claim(subject="measured://thing", object=value))


def test_a_moment_in_the_middle_of_a_load_is_what_the_source_knew_then(
    site: Site, trusting: tuple[str, ...], tmp_path: Path
) -> None:
    stop = threading.Event()

    def load() -> None:
        number = 0
        while not stop.is_set():
            lines = [measured(at) for at in range(number, number + 20)]
            number += 20
            assert site.service.bulk(lines).status == 200

    writer = threading.Thread(target=load)
    writer.start()
    try:
        wait_until(lambda: site.head_seq > 100, "written")
        made = site.cli.json("backup", "create", "--to", site.backups)
        wait_until(lambda: site.head_seq > made["seq"] + 100, "written on")
    finally:
        stop.set()
        writer.join()
    seq = made["seq"] + 50
    site.wait_archived()
    done = site.cli.json("restore", *trusting, *folders(tmp_path / "then"), "--at", str(seq))
    assert (done["seq"], done["snapshot"]) == (seq, made["name"])
    restored = ServiceProcess(tmp_path / "then", env={"STEMEDB_DISK_FLOOR_MB": "1"}).start()
    try:
        for lens in ("recency", "consensus"):
            asked = {
                "subject": "measured://thing",
                "predicate": "nausea_rate",
                "lens": lens,
                "known_at": str(seq),
            }
            path = "/v1/query?" + urllib.parse.urlencode(asked)
            ours, theirs = site.service.get(path), restored.get(path)
            assert (ours.status, theirs.status) == (200, 200)
            assert theirs.json() == ours.json()
    finally:
        restored.close()


def test_a_disk_destroyed_under_load_costs_the_last_second_at_most(
    site: Site, trusting: tuple[str, ...], tmp_path: Path
) -> None:
    acknowledged: list[tuple[int, float]] = []

    def load() -> None:
        with suppress(OSError, HTTPException):  # until the service is gone
            for number in count():
                reply = site.service.post("/v1/assert", measured(number))
                if reply.status == 201:
                    acknowledged.append((reply.json()["seq"], time.time()))

    writer = threading.Thread(target=load)
    writer.start()
    try:
        wait_until(lambda: len(acknowledged) > 200, "written")
        made = site.cli.json("backup", "create", "--to", site.backups)
        wait_until(lambda: len(acknowledged) > made["seq"] + 200, "written on")
        removed_at = time.time()
        shutil.rmtree(site.folder / "wal")
        shutil.rmtree(site.folder / "db")
        site.service.kill()
    finally:
        site.service.kill()
        writer.join()
    done = site.cli.json("restore", *trusting, *folders(tmp_path / "new"))
    assert done["snapshot"] == made["name"]
    lost = [at for seq, at in acknowledged if seq > done["seq"]]
    assert all(at > removed_at - LOST_S_MAX for at in lost)
    again = ServiceProcess(tmp_path / "new", env={"STEMEDB_DISK_FLOOR_MB": "1"}).start()
    try:
        assert again.get("/v1/health").json()["assertions_count"] == done["claims_count"]
        assert again.post("/v1/assert", claim(subject="fda://after")).status == 201
    finally:
        again.close()


def test_what_was_held_back_decided_and_granted_comes_back(tmp_path: Path) -> None:
    env = {"STEMEDB_CONTENT_DEFENSE_ENABLED": "true", "STEMEDB_METER_ENABLED": "true"}
    made = Site(tmp_path, env=env)
    asked = (
        *(f"/v1/admin/quarantine?state={state}" for state in ("waiting", "rejected")),
        "/v1/admin/quotas",
        "/v1/query?subject=fda://drug/semaglutide&predicate=nausea_rate&lens=recency",
    )
    try:
        made.start()
        waits, released, rejected = (held(made.service, junk(timestamp=WHEN_S + at)) for at in range(3))
        made.cli("quarantine", "approve", released)
        made.cli("quarantine", "reject", rejected)
        made.cli("quotas", "set", "ab" * 32, "12345")
        made.cli("backup", "create", "--to", made.backups)
        made.wait_archived()
        trust = made.trust
        before = [made.service.get(path).json() for path in asked]
        made.service.stop()
        believed = ("--from", str(made.backups), "--trust-key", trust)
        made.cli("restore", *believed, *folders(tmp_path / "new"))
        made.cli("restore", *believed, *folders(tmp_path / "folded"), "--log-only")
    finally:
        made.close()
    for what, reply in zip((waits, rejected, "12345", released), before, strict=True):
        assert what in str(reply)
    for name in ("new", "folded"):
        restored = ServiceProcess(tmp_path / name, env={"STEMEDB_DISK_FLOOR_MB": "1"} | env).start()
        try:
            assert [restored.get(path).json() for path in asked] == before
        finally:
            restored.close()


def test_drill_passes_fails_and_cannot_tell(site: Site, trusting: tuple[str, ...], tmp_path: Path) -> None:
    site.cli("backup", "create", "--to", site.backups)
    drill = ["drill", *trusting, "--scratch", str(tmp_path / "scratch"), "--metrics-dir", str(site.metrics)]
    done = site.cli.json(*drill)
    assert done["result"] == "pass"
    assert list((tmp_path / "scratch").iterdir()) == []
    text = (site.metrics / "stemedb_drill.prom").read_text()
    assert 'stemedb_drill_result{result="pass"} 1.0' in text
    assert 'stemedb_drill_result{result="fail"} 0.0' in text
    view = next(site.backups.glob("2*")) / "view" / "data.mdb"
    whole = view.read_bytes()
    view.write_bytes(whole[:-1] + b"\1")
    failed = site.cli.json(*drill, code=65)
    assert failed["result"] == "fail"
    assert "not what the manifest says" in failed["detail"]
    assert failed["passed_at"] == done["passed_at"]
    view.write_bytes(whole)
    (tmp_path / "scratch" / "occupied").touch()
    assert site.cli.json(*drill, code=75)["result"] == "inconclusive"
    (tmp_path / "scratch" / "occupied").unlink()
    site.service.stop()
    stopped = site.cli.json(*drill, code=75)
    assert "did not take the drill's claim" in stopped["detail"]
    assert json.loads((site.backups / "drill.json").read_text())["result"] == "inconclusive"


def test_verify_and_restore_only_believe_keys_that_are_given(
    site: Site, trusting: tuple[str, ...], tmp_path: Path
) -> None:
    site.cli("backup", "create", "--to", site.backups, "--metrics-dir", site.metrics)
    for name in ("size_bytes", "duration_seconds", "success_timestamp_seconds"):
        assert f"\nstemedb_backup_last_{name} " in (site.metrics / "stemedb_backup.prom").read_text()
    assert site.cli("backup", "key").strip() == site.trust
    assert "whole up to record" in site.cli("backup", "verify", *trusting, "--metrics-dir", site.metrics)
    assert stat.S_IMODE((site.metrics / "stemedb_backup_verify.prom").stat().st_mode) == 0o644
    assert "restorable" in site.cli("restore", *trusting, *folders(tmp_path / "r"), "--verify-only")
    other = ("--from", site.backups, "--trust-key", "00" * 32)
    assert "untrusted_backup" in site.cli("backup", "verify", *other, code=65)
    assert "a key that is not trusted" in site.cli.error("restore", *other, *folders(tmp_path / "r"), code=65)
    bare = ("--from", site.backups)
    assert "no key to trust" in site.cli.error("restore", *bare, *folders(tmp_path / "r"), code=78)
    assert "not a public key" in site.cli.error("backup", "verify", *bare, "--trust-key", "me", code=78)
    said = site.cli.error("restore", *trusting, *folders(tmp_path / "r"), "--at", "yesterday", code=1)
    assert "neither a seq nor a time" in said
    said = site.cli.error("restore", *trusting, *folders(tmp_path / "r"), "--at", "99999", code=1)
    assert "farthest point" in said
    assert not (tmp_path / "r").exists()
    said = site.cli.error(
        "restore", "--from", tmp_path, "--trust-key", site.trust, *folders(tmp_path), code=1
    )
    assert "holds no backup" in said


def test_a_folder_that_cannot_be_read_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = site.cli.error("backup", "verify", "--from", tmp_path / "file", "--trust-key", site.trust, code=1)
    assert said.startswith(f"stemedb: {tmp_path / 'file'}")
    assert ": Not a directory. " in said
    assert "report" not in said


def test_erasing_through_the_service_reaches_every_copy(site: Site, trusting: tuple[str, ...]) -> None:
    text = "what nobody may read any more"
    body = claim(object={"type": "Text", "value": text})
    found = site.service.post("/v1/assert", body).json()
    site.cli("backup", "create", "--to", site.backups)
    assert text.encode() in everything(site.backups)
    site.cli("erase", found["hash"], "--reason", "asked", "--now")
    wait_until(lambda: text.encode() not in everything(site.backups), "erased in every copy")
    assert "erased" in site.cli("backup", "list", *trusting[:2])
    site.wait_archived()
    assert "whole up to record" in site.cli("backup", "verify", *trusting, "--full")


def everything(folder: Path) -> bytes:
    """Return the bytes of every file below a folder, some of which may go meanwhile."""
    return b"".join(read(path) for path in sorted(folder.rglob("*")))


def read(path: Path) -> bytes:
    """Return a file's bytes; none of a folder, or of a file that went meanwhile."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def test_prune_shows_first_and_removes_when_told(site: Site, trusting: tuple[str, ...]) -> None:
    for number in range(3):
        site.service.bulk([line(number)])
        site.cli("backup", "create", "--to", site.backups)
    keep = ("--keep-daily", "1", "--keep-weekly", "0", "--keep-monthly", "0")
    planned = site.cli.json("backup", "prune", *trusting[:2], *keep)
    assert len(planned["removed"]) == 2
    assert not planned["done"]
    assert len(site.cli.json("backup", "list", *trusting[:2])) == 3
    site.cli("backup", "prune", *trusting[:2], *keep, "--yes")
    left = site.cli.json("backup", "list", *trusting[:2])
    assert [each["name"] for each in left] == list(planned["kept"])
    site.wait_archived()
    assert "whole" in site.cli("backup", "verify", *trusting, "--full")


def test_doctor_says_how_far_the_backups_are(site: Site, tmp_path: Path) -> None:
    def looked(*, archive: Path = site.backups) -> dict[str, tuple[str, str]]:
        done = site.cli.run("doctor", "--quick", "--json", "--backup-dir", archive)
        return {
            each["check"]: (each["level"], each["detail"]) for each in json.loads(done.stdout)["findings"]
        }

    bare = tmp_path / "bare"
    bare.mkdir()
    assert looked(archive=bare)["archive"] == ("warn", f"{bare} holds no archive of the log")
    site.service.bulk([line(number) for number in range(20)])
    seq = site.wait_archived()
    site.cli("backup", "create", "--to", site.backups)
    found = looked()
    assert found["archive"] == ("ok", f"record {seq} is archived, 0 are to follow")
    assert found["snapshot"][0] == "ok"
    assert "drill" not in found
    note_result(site.backups, "fail", "another digest", seq, 1.0)
    assert looked()["drill"] == ("fail", "the last drill failed: another digest")
    site.stop_archive()
    site.service.bulk([line(number) for number in range(20, 40)])
    path = site.backups / "wal" / STATE_NAME
    state = read_state(path, ArchiveState)
    assert state
    hour_us = 3600 * 1_000_000
    write_state(path, msgspec.structs.replace(state, caught_up_at=state.caught_up_at - hour_us))
    assert looked()["archive"] == ("warn", f"record {seq} is archived, 20 are to follow")
    foreign = msgspec.structs.replace(state.head, log_id="ab" * 16)
    write_state(path, msgspec.structs.replace(state, head=foreign))
    assert "another log's" in looked()["archive"][1]
