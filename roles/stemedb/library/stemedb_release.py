#!/usr/bin/python
"""Ansible module: releases of StemeDB on a host - find one, build one in place, remove old ones."""

from __future__ import annotations

DOCUMENTATION = """
module: stemedb_release
short_description: Find, build and remove releases of StemeDB on a host
description:
  - A release is a virtual environment in a folder of its own, built without any package index.
  - Its file C(.complete) is written last; a folder without it is built again.
author: The StemeDB authors
options:
  state: {description: What is wanted., choices: [queried, present, pruned], type: str, required: true}
  folder: {description: Where the releases are., type: path, required: true}
  release: {description: "A release's folder name, or (queried) a version.", type: str, required: true}
  must_exist: {description: Whether a queried release has to be complete., type: bool, default: false}
  archive: {description: The wheels, on the host; removed when built., type: path}
  python: {description: The interpreter to build with., type: path}
  keep: {description: How many complete releases are kept., type: int, default: 3}
"""
EXAMPLES = """
- name: See whether the host has the release
  stemedb_release:
    state: queried
    folder: /opt/stemedb/releases
    release: 0.1.0-1a2b3c4d
"""
RETURN = """
release: {description: The release's folder name., returned: queried or present, type: str}
path: {description: Its folder., returned: queried or present, type: str}
complete: {description: Whether it is ready to run., returned: queried or present, type: bool}
removed: {description: The releases that are gone., returned: pruned, type: list}
"""

import os  # noqa: E402  (a module's documentation stands first)
import shutil  # noqa: E402
import subprocess  # noqa: E402
import tarfile  # noqa: E402
import zipfile  # noqa: E402
from pathlib import Path  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

COMPLETE = ".complete"
KEPT = ".kept"  # what stemedb_kept makes of a release that was healthy


class ReleaseError(Exception):
    """What cannot be done, in words for the operator."""


def complete_releases(folder: Path) -> list[Path]:
    """Return the complete releases, the newest first."""
    marks = [path / COMPLETE for path in folder.iterdir()] if folder.is_dir() else []
    done = [mark for mark in marks if mark.exists()]
    return [mark.parent for mark in sorted(done, key=lambda mark: mark.stat().st_mtime, reverse=True)]


def find(folder: Path, wanted: str, *, must_exist: bool) -> Path:
    """Return the release of that name, or the newest of that version; the name itself if there is none.

    Raises:
        ReleaseError: there is none and there must be.
    """
    kept = complete_releases(folder)
    for path in kept:
        if wanted in {path.name, path.name.rpartition("-")[0]}:
            return path
    if must_exist:
        names = ", ".join(path.name for path in kept) or "none"
        raise ReleaseError(f"No release {wanted} on this host; it has kept: {names}.")
    return folder / wanted


def build(target: Path, archive: Path, python: str) -> None:
    """Build the release where it will stay: an environment cannot be moved once it is made.

    Raises:
        ReleaseError: the archive or the host's Python does not do.
    """
    if target.exists():  # left behind by a run that was killed
        shutil.rmtree(target)
    os.umask(0o022)
    wheels = target / "wheels"
    wheels.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if not member.isfile() or "/" in member.name:
                raise ReleaseError(f"{archive} holds {member.name}, which is no plain file.")
            tar.extract(member, wheels)
    pip = unpacked_pip(wheels)
    run([python, "-m", "venv", "--without-pip", str(target)], {})
    run(
        [
            *(str(target / "bin" / "python"), "-m", "pip", "--isolated", "--disable-pip-version-check"),
            *("install", "--quiet", "--no-input", "--no-cache-dir", "--no-index", "--no-deps"),
            *("--find-links", ".", "--require-hashes", "--requirement", "requirements.txt"),
        ],
        {"PYTHONPATH": str(pip)},
        cwd=wheels,
    )
    shutil.rmtree(wheels)
    run([str(target / "bin" / "stemedb-api"), "--version"], {})
    os.sync()
    (target / COMPLETE).write_text("")
    archive.unlink()


def unpacked_pip(wheels: Path) -> Path:
    """Unpack the wheelhouse's own pip, since the host may have none."""
    found = list(wheels.glob("pip-*.whl"))
    if len(found) != 1:
        raise ReleaseError("The archive holds no pip.")
    target = wheels / "pip"
    with zipfile.ZipFile(found[0]) as wheel:
        wheel.extractall(target)  # noqa: S202  (its hash was checked when the wheelhouse was filled)
    return target


def run(command: list[str], extra: dict[str, str], cwd: Path | None = None) -> None:
    """Run a step of the build; its complaint is the error."""
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", **extra}
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, env=environment, cwd=cwd
    )
    if done.returncode:
        raise ReleaseError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def spare(folder: Path, current: str, keep: int) -> list[Path]:
    """Return the releases that may go: all but the current and the newest, and what was never completed.

    One that has been healthy is never given up for one that has not.
    """
    others = [path for path in complete_releases(folder) if path.name != current]
    others.sort(key=lambda path: not (path / KEPT).exists())
    stay = {current, *(path.name for path in others[: max(keep - 1, 0)])}
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.name.removesuffix(".tar") not in stay]


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["queried", "present", "pruned"]},
            "folder": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "must_exist": {"type": "bool", "default": False},
            "archive": {"type": "path"},
            "python": {"type": "path"},
            "keep": {"type": "int", "default": 3},
        },
        required_if=[("state", "present", ("archive", "python"))],
        supports_check_mode=True,
    )
    asked = module.params
    folder = Path(asked["folder"])
    try:
        if asked["state"] == "pruned":
            going = spare(folder, asked["release"], asked["keep"])
            if not module.check_mode:
                for path in going:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            module.exit_json(changed=bool(going), removed=[path.name for path in going])
        target = find(folder, asked["release"], must_exist=asked["must_exist"])
        complete = (target / COMPLETE).exists()
        changed = asked["state"] == "present" and not complete
        if changed and not module.check_mode:
            build(target, Path(asked["archive"]), asked["python"])
            complete = True
        module.exit_json(changed=changed, release=target.name, path=str(target), complete=complete)
    except (ReleaseError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
