"""`stemedb log` and `stemedb doctor` as an operator runs them: real processes on real folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stemedb.cli.host import read_env_file
from stemedb.engine import open_engine
from stemedb.errors import BadSettings
from tests.builders import checked, number
from tests.durability.ledger import ROOT
from tests.durability.small import small_settings
from tests.durability.test_flipped_bits import REGIONS, flip, frame_at
from tests.e2e.conftest import ServerFactory
from tests.e2e.signing import line

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder at rest, with several segments."""
    data = tmp_path / "data"
    with closing(open_engine(small_settings(data))) as engine:
        for start in range(0, 400, 40):
            engine.submit([checked(object=number(at)) for at in range(start, start + 40)])
    (data / "keys").rename(data / "wal" / "keys")
    return data


def stemedb(
    *arguments: str | Path, given: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "stemedb.cli.main", *map(str, arguments)],
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )


def on(folder: Path, *arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command on a data folder."""
    return stemedb(*arguments, "--wal-dir", folder / "wal", "--db-dir", folder / "db", given=given)


def test_verify_says_whole_and_goes_on_from_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoint.json"
    first = on(folder, "log", "verify", "--checkpoint", kept, "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["records"] == 401
    second = json.loads(on(folder, "log", "verify", "--checkpoint", kept, "--json").stdout)
    assert (second["whole"], second["records"], second["seq"]) == (True, 0, 401)
    assert on(folder, "log", "verify").stdout.startswith("whole: 401 records checked")


def test_verify_names_all_damage_and_keeps_the_checkpoint(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoint.json"
    paths = sorted((folder / "wal").glob("*.wal"))
    for path in paths[:2]:
        flip(path, frame_at(path, 3)[0] + REGIONS["body"])
    found = on(folder, "log", "verify", "--checkpoint", kept)
    assert found.returncode == 65
    assert [each.split(":")[0] for each in found.stdout.splitlines()] == ["log_damaged"] * 2
    assert all(path.name in found.stdout for path in paths[:2])
    assert not kept.exists()


def test_dump_and_head_agree(folder: Path) -> None:
    lines = on(folder, "log", "dump", "--from", "399").stdout.splitlines()
    assert [json.loads(each)["seq"] for each in lines] == [399, 400, 401]
    assert len(on(folder, "log", "dump", "--from", "2", "--limit", "2").stdout.splitlines()) == 2
    head = json.loads(on(folder, "log", "head", "--json").stdout)
    assert (head["seq"], head["time"]) == (401, json.loads(lines[-1])["recorded_at"])


def test_repair_asks_saves_and_cuts(folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    arguments = ("log", "repair", "--truncate-at", "390", "--backup-dir", saved)
    asked = on(folder, *arguments, given="n\n")
    assert asked.returncode == 130
    assert not saved.exists()
    done = on(folder, *arguments, given="y\n")
    assert done.returncode == 0, done.stderr
    assert "the log ends with record 389" in done.stdout
    assert list(saved.glob("*.wal"))
    assert json.loads(on(folder, "log", "head", "--json").stdout)["seq"] == 389
    # The view knows more than the log now: that is a finding, and so is the way out.
    doctor = on(folder, "doctor", "--json")
    assert doctor.returncode == 2
    assert "records were lost" in doctor.stdout
    shutil.rmtree(folder / "db")
    with closing(open_engine(small_settings(folder))) as engine:
        assert engine.view.claims_count == 388


def test_repair_refuses_beside_a_server(server: ServerFactory) -> None:
    service = server()
    service.bulk([line(at) for at in range(5)])
    done = on(service.folder, "log", "repair", "--truncate-at", "3", "--yes")
    assert done.returncode == 75
    assert str(service.pid) in done.stderr


def test_audit_over_http_and_offline(server: ServerFactory, tmp_path: Path) -> None:
    service = server()
    service.bulk([line(at) for at in range(50)])
    kept = tmp_path / "head.json"
    kept.write_bytes(service.get("/v1/log/head").body)
    service.bulk([line(at) for at in range(50, 80)])
    done = stemedb("log", "audit", "--head", kept, "--url", service.url, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(done.stdout) | {"kept_seq": 51, "head_seq": 81}
    assert service.stop() == 0
    path = min((service.folder / "wal").glob("*.wal"))
    assert stemedb("log", "audit", "--head", kept, "--wal-dir", service.folder / "wal").returncode == 0
    flip(path, frame_at(path, 10)[0] + REGIONS["body"])
    assert stemedb("log", "audit", "--head", kept, "--wal-dir", service.folder / "wal").returncode == 65
    kept.write_text("{}")
    assert stemedb("log", "audit", "--head", kept, "--wal-dir", service.folder / "wal").returncode == 1


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what doctor found, by check."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(done.stdout)["findings"]:
        found.setdefault(each["check"], []).append(each)
    return found


def test_doctor_looks_at_everything_and_says_what_to_do(folder: Path) -> None:
    done = on(folder, "doctor", "--json")
    found = findings(done)
    wanted = {
        "data",
        "modes",
        "space",
        "sync",
        "clock",
        "log",
        "view",
        "map",
        "readers",
        "pages",
        "server",
        "migrate",
    }
    assert wanted <= found.keys()
    assert len(found["migrate"]) == 3
    levels = {each["level"] for checks in found.values() for each in checks}
    assert levels <= {"ok", "note", "warn"}
    assert done.returncode == (1 if "warn" in levels else 0)
    assert all(each["todo"] for checks in found.values() for each in checks if each["level"] != "ok")
    assert not list((folder / "wal").glob("doctor*"))
    assert "record 401" in found["log"][0]["detail"]


def test_doctor_beside_a_running_server(server: ServerFactory) -> None:
    service = server()
    service.bulk([line(at) for at in range(50)])
    options = ("--wal-dir", service.folder / "wal", "--db-dir", service.folder / "db")
    env = {"STEMEDB_BIND_ADDR": service.env["STEMEDB_BIND_ADDR"]}
    found = findings(stemedb("doctor", "--json", *options, env=env))
    assert "server running" in found["data"][0]["detail"]
    assert found["server"][0]["level"] == "ok"
    assert found["version"][0]["level"] == "ok"
    assert found["pages"][0]["level"] == "ok"
    assert "0 records behind" in found["view"][0]["detail"]
    assert service.post("/v1/assert", line(99)).status == 201
    (auth,) = found["auth"]
    assert (auth["level"], "only this host" in auth["detail"]) == ("ok", True)


def test_doctor_says_who_may_use_an_exposed_service(folder: Path) -> None:
    exposed = {"STEMEDB_BIND_ADDR": "0.0.0.0:18180"}
    options = ("doctor", "--quick", "--json", "--wal-dir", folder / "wal", "--db-dir", folder / "db")
    (auth,) = findings(stemedb(*options, env=exposed))["auth"]
    assert auth["level"] == "note"
    assert "whoever reaches it may do everything" in auth["detail"]
    assert "STEMEDB_AUTH_ENABLED=true" in auth["todo"]
    (auth,) = findings(stemedb(*options, env=exposed | {"STEMEDB_AUTH_ENABLED": "true"}))["auth"]
    assert (auth["level"], auth["detail"]) == ("ok", "keys are asked for")


def test_doctor_fails_on_damage_and_warns_of_open_files(folder: Path) -> None:
    path = max((folder / "wal").glob("*.wal"))
    path.chmod(0o644)
    found = findings(on(folder, "doctor", "--json"))
    assert path.name in found["modes"][0]["detail"]
    flip(folder / "db" / "data.mdb", 3 * 4096 + 4000)
    flip(path, frame_at(path, 2)[0] + REGIONS["hash"])
    done = on(folder, "doctor")
    assert done.returncode == 2
    assert "fail  log " in done.stdout
    assert "restore" in done.stdout


def test_commands_on_data_give_up_root_for_the_owner(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give up root")
    with tempfile.TemporaryDirectory() as place:
        # The folders of pytest are closed to others.
        Path(place).chmod(0o755)
        theirs = shutil.copytree(folder, Path(place) / "data")
        for path in (theirs, *theirs.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        (theirs / "db" / "lock.mdb").unlink()
        found = findings(on(theirs, "doctor", "--json"))
        assert found["log"][0]["level"] == found["pages"][0]["level"] == "ok"
        assert on(theirs, "log", "verify").returncode == 0
        assert (theirs / "db" / "lock.mdb").exists()
        strangers = [path for path in theirs.rglob("*") if path.stat().st_uid != NOBODY]
        assert strangers == []


def test_settings_come_from_options_then_environment_then_file(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.env"
    config.write_text(
        f"# the host's own\nSTEMEDB_WAL_DIR='{folder / 'wal'}'\n"
        f"STEMEDB_DB_DIR={folder / 'db'}\nRUST_LOG=info\n"
    )
    assert stemedb("log", "verify", "--config", config).returncode == 0
    elsewhere = {"STEMEDB_WAL_DIR": str(tmp_path / "none")}
    assert stemedb("log", "head", "--config", config, env=elsewhere).returncode == 1
    assert (
        stemedb("log", "head", "--config", config, "--wal-dir", folder / "wal", env=elsewhere).returncode == 0
    )
    assert stemedb("log", "head", "--config", tmp_path / "missing").returncode == 78
    config.write_text("STEMEDB_WAL_DIR\n")
    with pytest.raises(BadSettings):
        read_env_file(config)
