"""The support bundle: everything that helps, in one private file, and no secret wherever one may lie."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from stemedb.cli.bundle import Redactor
from stemedb.model.keys import new_secret
from tests.cli.running import Cli
from tests.e2e.service import ServiceProcess

PARTS = {
    "about.json",
    "doctor.json",
    "files.txt",
    "head.json",
    "health.json",
    "host.txt",
    "journal.txt",
    "limits.json",
    "metrics.txt",
    "settings.json",
    "units.txt",
}


def contents(path: Path) -> dict[str, str]:
    with tarfile.open(path) as tar:
        return {Path(each.name).name: tar.extractfile(each).read().decode() for each in tar}  # type: ignore[union-attr]  # files only


def config_file(service: ServiceProcess, folder: Path, **more: str) -> Path:
    path = folder / "config.env"
    path.write_text("".join(f'{name}="{value}"\n' for name, value in {**service.env, **more}.items()))
    return path


def test_report_holds_every_part_of_a_running_server(
    own_cli: Cli, own_service: ServiceProcess, tmp_path: Path
) -> None:
    config = config_file(own_service, tmp_path)
    said = own_cli.json("report", "--config", config, "--output", tmp_path / "r.tar.gz")
    found = contents(tmp_path / "r.tar.gz")
    assert said["file"] == str(tmp_path / "r.tar.gz")
    assert said["parts"] == {name: len(text.encode()) for name, text in found.items()}
    assert found.keys() == PARTS
    assert json.loads(found["health.json"])["status"] == "healthy"
    assert json.loads(found["head.json"])["seq"] >= 1
    assert "stemedb_wal_segments 1" in found["metrics.txt"]
    assert (
        json.loads(found["settings.json"])["STEMEDB_WAL_DIR"]["value"] == own_service.env["STEMEDB_WAL_DIR"]
    )
    assert "server" in {each["check"] for each in json.loads(found["doctor.json"])}
    assert set(json.loads(found["about.json"])["libraries"].values()).isdisjoint({"missing"})
    assert "0000000000000000.wal" in found["files.txt"]
    assert "MemTotal" in found["host.txt"]


def test_report_is_made_without_a_server_and_with_settings_that_stop_it(
    own_cli: Cli, own_service: ServiceProcess, tmp_path: Path
) -> None:
    own_service.stop()
    config = config_file(own_service, tmp_path, STEMEDB_NONSENSE="hush")
    own_cli("report", "--quick", "--config", config, "--output", "r.tar.gz")
    found = contents(own_cli.home / "r.tar.gz")
    assert found.keys() == PARTS
    assert "STEMEDB_NONSENSE is not a setting" in json.loads(found["settings.json"])["refused"]
    assert found["health.json"].startswith("not to be had: ")
    assert "0000000000000000.wal" in found["files.txt"]
    assert "hush" not in "".join(found.values())


def test_report_is_closed_to_others_and_overwrites_nothing(own_cli: Cli) -> None:
    said = own_cli.json("report", "--quick")
    path = Path(said["file"])
    assert path.parent == own_cli.home
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    assert "File exists. Name another file" in own_cli.error("report", "--output", path, code=78)
    assert path.read_bytes() == before


def test_report_holds_no_secret(tmp_path: Path) -> None:
    root, key, other = new_secret(), new_secret(), new_secret()
    folder = tmp_path / "service"
    folder.mkdir()
    service = ServiceProcess(folder, env={"STEMEDB_AUTH_ENABLED": "true", "STEMEDB_ROOT_API_KEY": root})
    cli = Cli(tmp_path / "home", service.url)
    cli.env["STEMEDB_API_KEY"] = root
    try:
        service.start()
        config = config_file(service, tmp_path)
        (folder / "wal" / other).touch()  # a file's name is a text like any other
        cli("report", "--quick", "--config", config, "--output", "r.tar.gz")
        cli.env["STEMEDB_API_KEY"] = key  # one that the server refuses
        cli("report", "--quick", "--config", config, "--output", "s.tar.gz")
    finally:
        service.close()
    for name in ("r.tar.gz", "s.tar.gz"):
        text = "".join(contents(cli.home / name).values())
        assert "steme_live_(hidden)" in text
        assert '"value": "set (hidden)"' in text
        assert [secret for secret in (root, key, other) if secret[len("steme_live_") :] in text] == []
    assert '"status": 401' in contents(cli.home / "s.tar.gz")["metrics.txt"].replace(":4", ": 4")


@pytest.mark.parametrize(
    "line",
    [
        "Environment=RESTIC_PASSWORD=canary",
        "AWS_SECRET_ACCESS_KEY=canary",
        '{"password": "canary"}',
        "Authorization: Bearer canary",
        "https://user:canary@backup.example.org/x",
        "api-key: canary",
        "a value of the environment: canary",
    ],
)
def test_redactor_takes_out_what_looks_like_a_secret(line: str) -> None:
    shown = Redactor({"STEMEDB_API_KEY": "canary"} if "environment" in line else {})(line)
    assert "canary" not in shown
    assert "(hidden)" in shown


def test_redactor_leaves_the_rest() -> None:
    line = 'GET /v1/query?subject=drug://velorin 200 "key":"0a1b" User=stemedb'
    assert Redactor({})(line) == line
