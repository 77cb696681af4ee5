"""Build what a host installs from, for the host's own Python: a folder of wheels and one archive of them.

Usage: wheelhouse.py [--python X.Y ...] [--arch x86_64] [--dir build/wheelhouse]

Prints one JSON line a Python: `release` (the version and 8 hex digits of the hash of sources and locks),
`version`, `archive`, and whether it was `built` now. The package index is asked only for wheels that the
folder `<dir>/cpXY-<arch>` lacks; each is checked against the lock's hashes. The archive holds the locked
wheels, the project's, pip's, and `requirements.txt` with a hash for all but pip's, which is checked here.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12")
# The oldest C library of the supported systems is 2.34; pip takes each tag literally, so all are named.
PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
ARCHIVES_MAX = 5


class Wheelhouse(NamedTuple):
    """One Python's folder and what goes into it."""

    python: str
    arch: str
    folder: Path

    @property
    def locks(self) -> list[Path]:
        """The lock of the service for that Python, and that of pip, which every host brings itself."""
        return [ROOT / "requirements" / f"host-{self.python}.txt", ROOT / "requirements" / "host-pip.txt"]


def main() -> None:
    """Fill the folders of the Pythons that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", action="append", choices=PYTHONS, help="default: all of them")
    parser.add_argument("--arch", default="x86_64", choices=("x86_64", "aarch64"))
    parser.add_argument("--dir", type=Path, default=ROOT / "build" / "wheelhouse")
    arguments = parser.parse_args()
    base: Path = arguments.dir.resolve()
    base.mkdir(parents=True, exist_ok=True)
    # One maker at a time: a play over several hosts may ask for the same folder at once.
    with (base / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for python in arguments.python or PYTHONS:
            folder = base / f"cp{python.replace('.', '')}-{arguments.arch}"
            try:
                print(json.dumps(fill(Wheelhouse(python, arguments.arch, folder))), flush=True)
            except (OSError, RuntimeError) as error:
                sys.exit(f"wheelhouse: {error}")


def fill(house: Wheelhouse) -> dict[str, str | bool]:
    """Complete the folder and its archive; returns what the play needs to know."""
    version = project_version()
    release = f"{version}-{digest(house)}"
    archive = house.folder / f"stemedb-{release}.tar"
    built = not archive.exists()
    if built:
        house.folder.mkdir(parents=True, exist_ok=True)
        wheels = [*locked_wheels(house), project_wheel(house, version)]
        pack(house, wheels, archive)
        forget_old_archives(house.folder, archive)
    return {
        "python": house.python,
        "version": version,
        "release": release,
        "archive": str(archive),
        "built": built,
    }


def project_version() -> str:
    """The version as the package itself says it."""
    source = (ROOT / "stemedb" / "__init__.py").read_text()
    found = re.search(r'^__version__(?:: \w+)? = "([^"]+)"', source, re.MULTILINE)
    if not found:
        raise RuntimeError("stemedb/__init__.py names no __version__")
    return found[1]


def sources() -> list[Path]:
    """Every file that ends in the project's wheel."""
    package = [
        path for path in (ROOT / "stemedb").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    return sorted([*package, ROOT / "pyproject.toml"])


def digest(house: Wheelhouse) -> str:
    """Hash sources and locks, so that a changed line is another release; 8 hex digits."""
    state = hashlib.sha256()
    for path in [*sources(), *house.locks]:
        content = path.read_bytes()
        state.update(f"{path.relative_to(ROOT)}\0{len(content)}\0".encode() + content)
    return state.hexdigest()[:8]


def locked_wheels(house: Wheelhouse) -> list[Path]:
    """The wheels of the locks, downloaded only where the folder lacks one."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--require-hashes", "--only-binary=:all:", "--find-links", str(house.folder)),
        *("--python-version", house.python, "--implementation", "cp"),
        *(word for platform in PLATFORMS for word in ("--platform", f"{platform}_{house.arch}")),
        *(word for lock in house.locks for word in ("--requirement", str(lock))),
    ]
    with tempfile.TemporaryDirectory(dir=house.folder, prefix=".download-") as fresh:
        at_hand = [*command, "--dest", fresh, "--no-index"]
        if subprocess.run(at_hand, capture_output=True, check=False).returncode:
            asked = subprocess.run([*command, "--dest", fresh], capture_output=True, text=True, check=False)
            if asked.returncode:
                raise RuntimeError(f"cannot complete {house.folder}:\n{asked.stderr.strip()}")
        return sorted(Path(shutil.move(wheel, house.folder / wheel.name)) for wheel in Path(fresh).iterdir())


def project_wheel(house: Wheelhouse, version: str) -> Path:
    """Build the project's own wheel from a copy of its sources, so that the checkout stays clean."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "source"
        for path in sources():
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        # Not the real one: it is no part of the release's digest, and nobody reads it on a host.
        (copy / "README.md").write_text("A database of signed claims.\n")
        command = [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-input"),
            *("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", scratch, str(copy)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"the project's wheel cannot be built (`make venv` brings setuptools):\n{done.stderr}"
            )
        wheel = next(Path(scratch).glob(f"stemedb-{version}-*.whl"))
        return Path(shutil.move(wheel, house.folder / wheel.name))


def pack(house: Wheelhouse, wheels: list[Path], archive: Path) -> None:
    """Write the archive under another name first: whoever sees it sees it whole."""
    own = wheels[-1]
    own_line = f"./{own.name} --hash=sha256:{hashlib.sha256(own.read_bytes()).hexdigest()}\n"
    with tempfile.TemporaryDirectory(dir=house.folder, prefix=".pack-") as scratch:
        listing = Path(scratch) / "requirements.txt"
        listing.write_text(house.locks[0].read_text() + own_line)
        fresh = Path(scratch) / archive.name
        with tarfile.open(fresh, "w") as tar:
            for path in [listing, *wheels]:
                tar.add(path, arcname=path.name, filter=as_root)
        fresh.rename(archive)


def as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave the builder's own account and umask out of the archive."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o644
    return member


def forget_old_archives(folder: Path, newest: Path) -> None:
    """Keep the last few archives: each change of the sources makes one."""
    archives = sorted(folder.glob("stemedb-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for archive in archives[ARCHIVES_MAX:]:
        if archive != newest:
            archive.unlink()


if __name__ == "__main__":
    main()
