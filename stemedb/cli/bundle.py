"""A support bundle: what is looked at on this host, how each part is made safe to send, how it is written.

No part holds a secret: values of secret settings, API keys, and whatever stands behind a word like `password`
are taken out of every text. Claims are not in it; the names of subjects that were asked for may be.
"""

from __future__ import annotations

import io
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from stemedb import __version__, limits
from stemedb.settings import SETTINGS
from stemedb.telemetry import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

HIDDEN: Final = "(hidden)"
_UNITS: Final = "stemedb*"
_CLIENT_SECRETS: Final = ("STEMEDB_API_KEY",)
# `restic_password: x`, `AWS_SECRET_ACCESS_KEY=x`, `Authorization: Bearer x`, `https://user:x@host`.
_NAMED_SECRET: Final = re.compile(
    r"(?i)([\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[\w.-]*"
    r"[\"']?\s*[=:]\s*[\"']?|\bbearer\s+)[^\s\"',;{}\[\]]+"
)
_ADDRESS_SECRET: Final = re.compile(r"(://[^/\s:@]+:)[^/\s@]+@")


class Part(NamedTuple):
    """One file of the bundle."""

    name: str
    text: str


class Redactor:
    """Takes secrets out of a text: known values first, then whatever looks like one."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Learn the values of `env` that must not be shown."""
        names = [*(row.name for row in SETTINGS if row.secret), *_CLIENT_SECRETS]
        self._values = sorted({env[name] for name in names if env.get(name)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        for value in self._values:
            text = text.replace(value, HIDDEN)
        text = _NAMED_SECRET.sub(rf"\1{HIDDEN}", masked(text))
        return _ADDRESS_SECRET.sub(rf"\1{HIDDEN}@", text)


def about() -> str:
    """Return versions of everything that runs the service."""
    system = _first_lines(Path("/etc/os-release"))
    needed = [re.split(r"[^\w.-]", line)[0] for line in metadata.requires("stemedb") or ()]
    return _json(
        {
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "stemedb": __version__,
            "program": sys.argv[0],
            "python": platform.python_version(),
            "system": system.get("PRETTY_NAME", platform.system()),
            "kernel": f"{platform.release()} {platform.machine()}",
            "processors": os.cpu_count(),
            "libraries": {name: _version(name) for name in needed},
        }
    )


def host() -> Iterator[Part]:
    """Yield what the host says of itself and of the units; read as root where that is who asks."""
    files = ("/proc/meminfo", "/proc/loadavg", "/proc/uptime", "/proc/mounts", "/proc/pressure/io")
    yield Part("host.txt", "\n".join(f"== {name}\n{_read(Path(name))}" for name in files))
    yield Part("units.txt", _units())
    lines = f"--lines={limits.REPORT_JOURNAL_LINES_MAX}"
    yield Part(
        "journal.txt",
        _command("journalctl", "--no-pager", "--output=short-iso-precise", lines, f"--unit={_UNITS}"),
    )


def files(folders: Iterable[Path]) -> str:
    """Return mode, owner, bytes on disk, length and name of every file below the folders."""
    lines = []
    for folder in _outermost(list(dict.fromkeys(folders))):
        lines.append(f"== {folder}")
        try:
            lines += [_file_line(path) for path in _below(folder)]
        except OSError as error:
            lines.append(f"not to be had: {error}")
    return "\n".join(lines)


def write(handle: int, folder: str, parts: Iterable[Part], redact: Redactor) -> dict[str, int]:
    """Write the parts as tar.gz to an open file; return each one's bytes by name."""
    sizes = {}
    with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        for part in parts:
            content = redact(part.text)[-limits.REPORT_PART_CHARS_MAX :].encode("utf-8", "replace")
            member = tarfile.TarInfo(f"{folder}/{part.name}")
            member.size, member.mode, member.mtime = len(content), 0o600, int(time.time())
            tar.addfile(member, io.BytesIO(content))
            sizes[part.name] = len(content)
    return sizes


def _units() -> str:
    listed = _command("systemctl", "--no-pager", "list-units", "--all", "--full", _UNITS)
    state = _command("systemctl", "--no-pager", "--full", "--lines=0", "status", _UNITS)
    text = _command("systemctl", "--no-pager", "cat", _UNITS)
    return f"== units\n{listed}\n== status\n{state}\n== files\n{text}"


def _command(name: str, *arguments: str) -> str:
    """Return what a host's own command prints; why not, where it does not."""
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if found is None:
        return f"not to be had: {name} is not installed"
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands of the host
            [found, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
            timeout=limits.REPORT_WAIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not to be had: {error}"
    return done.stdout.decode(errors="replace")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        return f"not to be had: {error}"


def _outermost(folders: list[Path]) -> list[Path]:
    return [folder for folder in folders if not any(other in folder.parents for other in folders)]


def _below(folder: Path) -> Iterator[Path]:
    for count, path in enumerate(sorted(folder.rglob("*"))):
        if count == limits.REPORT_FILES_MAX:
            return
        yield path


def _file_line(path: Path) -> str:
    found = path.lstat()
    mode = stat.filemode(found.st_mode)
    return f"{mode} {found.st_uid}:{found.st_gid} {found.st_blocks * 512:>12} {found.st_size:>12} {path}"


def _first_lines(path: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in _read(path).splitlines())
    return {name: value.strip("\"'") for name, _, value in pairs}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
