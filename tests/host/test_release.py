"""Releases on a host: found, kept, removed; and the wheelhouse they are built from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.host.modules import load
from tests.host.playbook import ROOT

release = load("stemedb", "stemedb_release")
PYTHON = "{}.{}".format(*sys.version_info)  # the release is built and run here, so for the Python that runs


def make(folder: Path, name: str, age: int, *, complete: bool = True) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    if complete:
        (path / ".complete").touch()
        os.utime(path / ".complete", (age, age))
    return path


def test_finds_by_name_and_by_version_the_newest(tmp_path: Path) -> None:
    older = make(tmp_path, "0.1.0-aaaaaaaa", 1)
    newer = make(tmp_path, "0.1.0-bbbbbbbb", 2)
    make(tmp_path, "0.1.0-cccccccc", 3, complete=False)
    make(tmp_path, "0.2.0-dddddddd", 4)
    assert release.find(tmp_path, "0.1.0", must_exist=True) == newer
    assert release.find(tmp_path, "0.1.0-aaaaaaaa", must_exist=True) == older


def test_names_what_is_kept_when_it_finds_nothing(tmp_path: Path) -> None:
    make(tmp_path, "0.1.0-aaaaaaaa", 1)
    with pytest.raises(release.ReleaseError, match=r"No release 0\.9\.0 .* 0\.1\.0-aaaaaaaa"):
        release.find(tmp_path, "0.9.0", must_exist=True)
    assert release.find(tmp_path, "0.9.0-eeeeeeee", must_exist=False) == tmp_path / "0.9.0-eeeeeeee"


@pytest.mark.parametrize(
    ("keep", "gone"), [(1, {"a-1", "c-3", "d-4"}), (2, {"a-1", "d-4"}), (3, {"d-4"}), (9, {"d-4"})]
)
def test_spares_the_running_release_and_the_newest(tmp_path: Path, keep: int, gone: set[str]) -> None:
    for age, name in enumerate(("a-1", "b-2", "c-3")):
        make(tmp_path, name, age)
    make(tmp_path, "d-4", 9, complete=False)
    assert {path.name for path in release.spare(tmp_path, "b-2", keep)} == gone


def test_spares_a_release_that_was_healthy_before_one_that_never_was(tmp_path: Path) -> None:
    for age, name in enumerate(("a-1", "b-2", "c-3")):
        make(tmp_path, name, age)
    (tmp_path / "a-1" / ".kept").mkdir()
    assert [path.name for path in release.spare(tmp_path, "c-3", 2)] == ["b-2"]


def test_keeps_the_archive_of_the_release_being_built(tmp_path: Path) -> None:
    (tmp_path / "b-2.tar").touch()
    (tmp_path / "a-1.tar").touch()
    assert [path.name for path in release.spare(tmp_path, "b-2", 3)] == ["a-1.tar"]


def test_refuses_an_archive_that_reaches_outside(tmp_path: Path) -> None:
    archive = tmp_path / "bad.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("../outside"))
    with pytest.raises(release.ReleaseError, match="no plain file"):
        release.build(tmp_path / "1-2", archive, sys.executable)


def wheelhouse(folder: Path, python: str = PYTHON, **environment: str) -> dict[str, Any]:
    tool = [sys.executable, str(ROOT / "tools" / "wheelhouse.py"), f"--python={python}", f"--dir={folder}"]
    done = subprocess.run(
        tool, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def test_asks_no_index_when_the_wheelhouse_is_complete(tmp_path: Path) -> None:
    first = wheelhouse(ROOT / "build" / "wheelhouse")
    folder = Path(first["archive"]).parent
    shutil.copytree(folder, tmp_path / folder.name)
    for archive in (tmp_path / folder.name).glob("*.tar"):
        archive.unlink()
    nowhere = "http://127.0.0.1:9/"
    again = wheelhouse(
        tmp_path,
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL=nowhere,
        PIP_EXTRA_INDEX_URL=nowhere,
        PIP_RETRIES="0",
    )
    assert (again["release"], again["built"]) == (first["release"], True)


def test_builds_a_release_that_runs_in_place(tmp_path: Path) -> None:
    made = wheelhouse(ROOT / "build" / "wheelhouse")
    archive = tmp_path / "release.tar"
    shutil.copyfile(made["archive"], archive)
    target = tmp_path / made["release"]
    make(tmp_path, made["release"], 0, complete=False)  # what a killed run leaves behind
    release.build(target, archive, sys.executable)
    assert (target / ".complete").exists()
    assert not archive.exists()
    version = subprocess.run([target / "bin" / "stemedb-api", "--version"], capture_output=True, check=True)
    assert version.stdout.decode() == f"stemedb-api {made['version']}\n"


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12"])
def test_builds_a_release_for_the_python_of_each_system(python: str, tmp_path: Path) -> None:
    made = wheelhouse(ROOT / "build" / "wheelhouse", python)
    wheels = Path(made["archive"]).parent
    assert f"cp{python.replace('.', '')}-" in wheels.name
    finder = subprocess.run(
        [ROOT / "tools" / "find-python", python], capture_output=True, text=True, check=False
    )
    if finder.returncode:
        pytest.skip(f"no Python {python} on this machine: its wheelhouse is complete, and was not installed")
    archive = Path(shutil.copy(made["archive"], tmp_path / "release.tar"))
    release.build(tmp_path / made["release"], archive, finder.stdout.strip())
    program = tmp_path / made["release"] / "bin" / "python"
    asked = subprocess.run(
        [program, "-c", "import sys, stemedb.api.app; print(sys.version)"], capture_output=True, check=True
    )
    assert asked.stdout.decode().startswith(f"{python}.")
