"""Later checkouts of the project, made of this one: another version, and what a test wants broken in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.host.playbook import ROOT
from tools import converged

PARTS = (
    "stemedb",
    "requirements",
    "roles",
    "playbooks",
    "files",
    "templates",
    "tools",
    "pyproject.toml",
    "site.yml",
)
CONFIG = "ansible.cfg"


def checkout(folder: Path, version: str, *, broken: str = "") -> Path:
    """Copy the checkout under another version; `broken` is code that `stemedb-api` then runs first."""
    target = folder / version
    target.mkdir(parents=True)
    for name in (*PARTS, CONFIG):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, target / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(source, target / name)
    # Its own, so that this checkout's stays as it is; the locked wheels are at hand.
    shutil.copytree(wheelhouse(), target / "build/wheelhouse", copy_function=os.link)
    edit(target / "stemedb/__init__.py", r'__version__ = "[^"]+"', f'__version__ = "{version}"')
    if broken:
        edit(target / "stemedb/cli/server.py", r"(?m)^def _serve\(.*:$", rf"\g<0>\n    {broken}")
    return target


def wheelhouse() -> Path:
    """This checkout's wheels, completed where it has converged no host so far."""
    folder = ROOT / "build/wheelhouse"
    tool = [sys.executable, str(ROOT / "tools/wheelhouse.py"), "--python", converged.HOST_PYTHON]
    subprocess.run([*tool, "--dir", str(folder)], stdout=subprocess.DEVNULL, check=True)
    return folder


def edit(path: Path, pattern: str, replacement: str) -> None:
    """Change one place of a file."""
    text, count = re.subn(pattern, replacement, path.read_text())
    assert count == 1, path
    path.write_text(text)
