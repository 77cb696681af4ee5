"""Restoring: the same state, of any moment, or a refusal that says what is wrong; never half of anything."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from stemedb import limits
from stemedb.backup import create as creating
from stemedb.backup import restore as restoring
from stemedb.backup.checking import check
from stemedb.backup.layout import STATE_NAME
from stemedb.backup.manifest import MANIFEST_NAME
from stemedb.backup.points import Target, read_points
from stemedb.backup.restore import Wanted, restore
from stemedb.backup.verify import verify
from stemedb.engine import open_engine
from stemedb.errors import Conflict, Corrupt, NotFound, Unavailable
from stemedb.log.frames import FRAME_BYTES_MIN, HEADER_BYTES, redact
from stemedb.log.verify import verify as verify_log
from stemedb.model import Signer
from stemedb.store.copying import digest_of
from tests.backup.helpers import SIGNER, TRUSTED, Data, restore_to
from tests.cli.running import Cli
from tests.durability.mounts import memory_disk, run
from tests.log.helpers import flip, segment_files

ROOT = Path(__file__).resolve().parents[2]
OTHER = Signer(bytes(32))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Data, dict[int, str]]:
    """Data with two snapshots, an archive that goes on, and the digests of the states on the way, by seq."""
    data = Data(tmp_path_factory.mktemp("history"))
    digests = {}
    for count in (60, 60, 30):
        data.say(count)
        digests[data.count + 1] = data.digest()
        data.backup() if count == 60 else data.archive()
    return data, digests


@pytest.fixture
def data(history: tuple[Data, dict[int, str]], tmp_path: Path) -> Data:
    """A copy of that, to be spoiled."""
    folder = history[0].backups.parent
    shutil.copytree(folder, tmp_path / "data")
    return Data(tmp_path / "data")


def test_every_moment_comes_back_as_it_was(history: tuple[Data, dict[int, str]], tmp_path: Path) -> None:
    made, digests = history
    for seq, digest in digests.items():
        done = restore_to(made, tmp_path / str(seq), seq)
        assert (done.seq, done.state_digest) == (seq, digest)
        assert verify_log(tmp_path / str(seq) / "wal").whole
    whole = restore_to(made, tmp_path / "whole")
    assert whole.seq == max(digests)
    assert whole.snapshot == max(path.name for path in made.backups.glob("2*"))
    assert whole.signatures_count == 150


def test_a_state_between_snapshots_is_what_the_log_folds_to(
    history: tuple[Data, dict[int, str]], tmp_path: Path
) -> None:
    made, _ = history
    done = restore_to(made, tmp_path / "some", 100)
    shutil.rmtree(made.backups.parent / "nothing", ignore_errors=True)
    wanted = Wanted(tmp_path / "log" / "wal", None, Target(100, None))
    assert restore(made.points(), wanted).state_digest == ""
    settings = made.settings._replace(wal_dir=wanted.wal_dir, db_dir=tmp_path / "log" / "db")
    open_engine(settings).close()
    assert digest_of(settings.db_dir, live=False)[1] == done.state_digest


def test_a_restored_folder_serves_and_is_archived_on(data: Data, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    restore_to(data, folder)
    data.settings = data.settings._replace(wal_dir=folder / "wal", db_dir=folder / "db")
    data.count = 150
    data.say(10)
    data.archive()
    assert data.points().head.seq == 161
    restore_to(data, tmp_path / "earlier", 100)
    data.settings = data.settings._replace(
        wal_dir=tmp_path / "earlier" / "wal", db_dir=tmp_path / "earlier" / "db"
    )
    data.say(80)
    with pytest.raises(Corrupt) as refused:
        data.archive()
    assert refused.value.reason == "foreign_archive"


def test_a_moment_is_found_by_its_time(history: tuple[Data, dict[int, str]], tmp_path: Path) -> None:
    made, _ = history
    with closing(open_engine(made.settings)) as engine, engine.view.snapshot() as snapshot:
        moment = snapshot.recorded_at(90)
    for name, at, seq in (("at", moment, 90), ("before", moment - 1, 89)):
        done = restore(made.points(), Wanted(tmp_path / name / "wal", None, Target(None, at)))
        assert done.seq == seq
    with pytest.raises(NotFound, match="the backup goes to record 151"):
        restore(made.points(), Wanted(tmp_path / "late", None, Target(None, 2**52)))
    with pytest.raises(NotFound, match="cannot be reached"):
        restore_to(made, tmp_path / "later", 152)
    assert not (tmp_path / "later").exists()
    with pytest.raises(Conflict, match="the log begins at"):
        restore(made.points(), Wanted(tmp_path / "early" / "wal", None, Target(None, 1)))


def test_only_empty_folders_are_restored_into(history: tuple[Data, dict[int, str]], tmp_path: Path) -> None:
    made, _ = history
    (tmp_path / "wal").mkdir()
    (tmp_path / "wal" / "something").touch()
    with pytest.raises(Conflict, match="something is there"):
        restore_to(made, tmp_path)
    assert [path.name for path in (tmp_path / "wal").iterdir()] == ["something"]


# -- damage: each is found by verify and by restore, and nothing is left behind --


def spoil_view(data: Data) -> None:
    path = max(data.backups.glob("2*")) / "view" / "data.mdb"
    flip(path, path.stat().st_size // 2)


def lose_view(data: Data) -> None:
    shutil.rmtree(max(data.backups.glob("2*")) / "view")


def lose_segment(data: Data) -> None:
    segment_files(data.backups / "wal")[1].unlink()


def lose_last_segment(data: Data) -> None:
    segment_files(data.backups / "wal")[-1].unlink()


def flip_byte(data: Data) -> None:
    flip(segment_files(data.backups / "wal")[1], 5000)


def flip_header(data: Data) -> None:
    flip(segment_files(data.backups / "wal")[1], 20)


def truncate(data: Data) -> None:
    last = segment_files(data.backups / "wal")[-1]
    os.truncate(last, last.stat().st_size - 9)


def blank(data: Data) -> None:
    path = segment_files(data.backups / "wal")[1]
    with path.open("rb+") as file:
        begin = HEADER_BYTES
        for _ in range(2):
            file.seek(begin)
            length = int.from_bytes(file.read(4), "big")
            size = FRAME_BYTES_MIN - 24 + length + -length % 8
            file.seek(begin)
            frame = file.read(size)
            begin += size
        file.seek(begin - size)
        file.write(redact(frame))


def change_manifest(data: Data) -> None:
    path = max(data.backups.glob("2*")) / MANIFEST_NAME
    path.write_bytes(path.read_bytes().replace(b'"claims_count": 120', b'"claims_count": 121'))


def lose_manifest(data: Data) -> None:
    (max(data.backups.glob("2*")) / MANIFEST_NAME).unlink()


def change_head(data: Data) -> None:
    path = data.backups / "wal" / STATE_NAME
    path.write_bytes(path.read_bytes().replace(b'"seq":151', b'"seq":150'))


DAMAGE: list[tuple[Callable[[Data], None], str, str]] = [
    (spoil_view, "bad_backup", "not what the manifest says"),
    (lose_view, "bad_backup", "it is missing, and no erasure explains that"),
    (lose_segment, "log_damaged", "the file ends where record"),
    (lose_last_segment, "log_damaged", "the file ends where record"),
    (flip_byte, "log_damaged", "where record"),
    (flip_header, "log_header", "checksum"),
    (truncate, "log_damaged", "the file ends where record 151 belongs"),
    (blank, "bad_backup", "record 3 is overwritten, but no record erases it"),
    (change_manifest, "bad_backup", "not what was signed"),
    (lose_manifest, "bad_backup", "it is missing"),
    (change_head, "bad_backup", "signature does not verify"),
]


@pytest.mark.parametrize(("spoil", "code", "says"), DAMAGE, ids=lambda each: getattr(each, "__name__", None))
def test_damage_is_named_by_verify_and_by_restore(
    data: Data, tmp_path: Path, spoil: Callable[[Data], None], code: str, says: str
) -> None:
    assert verify(data.backups, TRUSTED, full=True).whole
    spoil(data)
    report = verify(data.backups, TRUSTED, full=True)
    assert [each.code for each in report.problems][:1] == [code]
    assert says in report.problems[0].detail
    with pytest.raises(Corrupt, match=says) as refused:
        restore_to(data, tmp_path / "to")
    assert refused.value.reason == code
    left = [path.name for path in (tmp_path / "to").rglob("*") if path.is_file() and path.name != "lock"]
    assert left == []
    with pytest.raises(Corrupt, match=says):
        check(read_points(data.backups, TRUSTED))


@pytest.mark.parametrize(
    ("spoil", "signer", "says"),
    [
        (spoil_view, SIGNER, "not what the manifest says"),
        (lose_segment, SIGNER, "the file ends where record"),
        (flip_byte, SIGNER, "where record"),
        (truncate, SIGNER, "the file ends where record 151 belongs"),
        (lambda _data: None, OTHER, "a key that is not trusted"),
    ],
    ids=("view", "segment", "byte", "end", "key"),
)
def test_damage_ends_both_commands_with_65_and_one_line(
    data: Data, tmp_path: Path, spoil: Callable[[Data], None], signer: Signer, says: str
) -> None:
    spoil(data)
    cli = Cli(tmp_path / "home", None)
    believed = ("--from", data.backups, "--trust-key", signer.agent_id.hex())
    assert says in cli("backup", "verify", *believed, "--full", code=65)
    to = ("--wal-dir", tmp_path / "wal", "--db-dir", tmp_path / "db")
    assert says in cli.error("restore", *believed, *to, "--json", code=65)
    assert says in cli.error("restore", *believed, *to, "--verify-only", code=65)


def test_new_damage_in_old_files_is_found_by_a_full_verification_only(data: Data) -> None:
    assert verify(data.backups, TRUSTED, full=False).records == 151
    again = verify(data.backups, TRUSTED, full=False)
    assert (again.records, again.snapshots, again.snapshots_skipped) == (0, 0, 2)
    flip_byte(data)
    assert verify(data.backups, TRUSTED, full=False).whole
    assert not verify(data.backups, TRUSTED, full=True).whole


def test_another_key_is_not_believed(data: Data, tmp_path: Path) -> None:
    others = frozenset({OTHER.agent_id})
    report = verify(data.backups, others, full=False)
    assert {each.code for each in report.problems} == {"untrusted_backup"}
    with pytest.raises(Corrupt) as refused:
        restore(read_points(data.backups, others), Wanted(tmp_path / "wal", None, None))
    assert refused.value.reason == "untrusted_backup"


def test_a_damaged_snapshot_that_is_moved_away_leaves_all_restorable(data: Data, tmp_path: Path) -> None:
    before = restore_to(data, tmp_path / "before")
    spoil_view(data)
    max(data.backups.glob("2*")).rename(tmp_path / "away")
    assert restore_to(data, tmp_path / "after").state_digest == before.state_digest


# -- erasure --


def test_erased_claims_are_in_no_copy_and_never_come_back(data: Data, tmp_path: Path) -> None:
    data.count = 150
    secrets = (b"said 38", b"said 88")  # records 40 and 90: in both snapshots, in the second only
    data.erase(40, 90)
    data.archive()
    everything = b"".join(path.read_bytes() for path in data.backups.rglob("*") if path.is_file())
    assert not any(secret in everything for secret in secrets)
    assert verify(data.backups, TRUSTED, full=True).whole
    assert verify(data.backups, TRUSTED, full=True).views_erased == 2
    for at in (100, None):
        done = restore_to(data, tmp_path / str(at), at)
        assert done.claims_count == (97 if at else 148)
        found = b"".join(path.read_bytes() for path in (tmp_path / str(at)).rglob("*") if path.is_file())
        assert not any(secret in found for secret in secrets)
    assert restore_to(data, tmp_path / "now").state_digest == data.digest()


def test_what_the_archive_could_not_overwrite_yet_does_not_come_back(data: Data, tmp_path: Path) -> None:
    held = tmp_path / "held"
    shutil.copytree(data.backups, held)
    data.count = 150
    data.erase(40)
    data.archive()
    # The archive as it is when a stop came before the overwriting: old segments and views, new records.
    for path in segment_files(held / "wal")[:-1]:
        shutil.copy(path, data.backups / "wal" / path.name)
    for folder in held.glob("2*"):
        shutil.copytree(folder, data.backups / folder.name, dirs_exist_ok=True)
    done = restore_to(data, tmp_path / "to", 120)
    assert done.erased_later
    assert done.claims_count == 118
    found = b"".join(path.read_bytes() for path in (tmp_path / "to").rglob("*") if path.is_file())
    assert b"said 38" not in found
    assert verify(data.backups, TRUSTED, full=True).whole


# -- kills and full disks --


@pytest.mark.parametrize("point", creating.FAULT_POINTS)
def test_a_backup_killed_at_any_step_is_whole_or_not_there(data: Data, point: str) -> None:
    data.count = 150
    data.say(20)
    folders = [str(data.settings.wal_dir), str(data.settings.db_dir), str(data.backups)]
    command = [sys.executable, "-m", "tests.backup.backup_child", "create", *folders, point]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert len(list(data.backups.glob("2*"))) == (3 if point == "backup_done" else 2)
    assert verify(data.backups, TRUSTED, full=True).whole
    made = data.backup()
    assert made.manifest.seq == 171
    assert made.manifest.state_digest == data.digest()
    assert list(data.backups.glob(".making-*")) == []
    assert verify(data.backups, TRUSTED, full=True).whole


@pytest.mark.parametrize("point", restoring.FAULT_POINTS)
def test_a_restore_killed_at_any_step_is_no_data_until_it_is_whole(
    data: Data, tmp_path: Path, point: str
) -> None:
    folder = tmp_path / "to"
    folders = [str(folder / "wal"), str(folder / "db"), str(data.backups)]
    command = [sys.executable, "-m", "tests.backup.backup_child", "restore", *folders, point]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    settings = data.settings._replace(wal_dir=folder / "wal", db_dir=folder / "db")
    if point == "restore_log":
        with pytest.raises(Corrupt, match=r"log\.json is missing"):
            open_engine(settings)
    else:
        open_engine(settings).close()  # the log is whole, and the view is made from it
        assert digest_of(folder / "db", live=False)[1] == data.digest()
    with pytest.raises(Conflict, match="not empty"):
        restore_to(data, folder)


def test_a_full_disk_refuses_backup_and_restore_before_they_begin(data: Data, tmp_path: Path) -> None:
    with memory_disk(tmp_path / "small", 1) as disk:
        data.backups = disk / "backups"
        (disk / "filler").write_bytes(bytes(700_000))
        with pytest.raises(Unavailable, match="MiB are wanted") as refused:
            data.backup()
        assert refused.value.reason == "no_space"
        assert list(data.backups.glob("*")) == [data.backups / "lock"]
    whole = Data(tmp_path / "data")
    with memory_disk(tmp_path / "tiny", 1) as disk:
        (disk / "filler").write_bytes(bytes(900_000))
        with pytest.raises(Unavailable, match="MiB are wanted"):
            restore_to(whole, disk / "to")


def test_a_view_of_another_key_is_signed_by_the_one_that_made_it(data: Data) -> None:
    made = data.backup()
    seal = (made.folder / "manifest.sig").read_text()
    assert SIGNER.agent_id.hex() in seal
    assert made.size_bytes == made.manifest.log_bytes + (made.folder / "view" / "data.mdb").stat().st_size


def test_a_backup_on_a_read_only_disk_is_checked_and_restored(data: Data, tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", 8) as disk:
        shutil.copytree(data.backups, disk / "backups")
        run("mount", "-o", "remount,ro", disk)
        points = read_points(disk / "backups", TRUSTED)
        assert check(points).records_count == 151
        assert restore(points, Wanted(tmp_path / "wal", tmp_path / "db", None)).seq == 151
        run("mount", "-o", "remount,rw", disk)


def test_a_backup_that_would_take_too_long_gives_up(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKUP_COPY_S_MAX", -1.0)
    with pytest.raises(Unavailable, match="given up"):
        data.backup()
    assert len(list(data.backups.glob("2*"))) == 2
    assert list(data.backups.glob(".making-*")) == []
