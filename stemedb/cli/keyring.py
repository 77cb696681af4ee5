"""The key ring: one file of named seeds that only its owner can read.

A seed is the agent: who holds it signs in its name, who loses it cannot sign as it again. So the file is
never readable by others, never half written, and never written by two processes at once.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from stemedb import limits
from stemedb.errors import BadSettings, Conflict, Invalid, NotFound
from stemedb.model import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The file's content: seeds (64 hex digits) by name."""

    version: int
    seeds: dict[str, str]


class KeyRing:
    """The named keys of one file. New keys live in memory until `save`."""

    def __init__(self, path: Path) -> None:
        """Read `path`; a missing file is an empty ring. Raises `BadSettings` if others could read it."""
        self.path = path
        self._signers: dict[str, Signer] = {}
        self._unsaved: set[str] = set()
        self._seeds = _read(path)

    def names(self) -> list[str]:
        """Return the names in order."""
        return sorted({*self._seeds, *self._unsaved})

    def signer(self, name: str) -> Signer:
        """Return the key called `name`; raises `NotFound`."""
        if name not in self._signers:
            if name not in self._seeds:
                raise NotFound(
                    f"no key called {name!r} in {self.path}",
                    code="no_such_key",
                    hint=f"Make it: stemedb keygen {name}",
                )
            self._signers[name] = Signer(bytes.fromhex(self._seeds[name]))
        return self._signers[name]

    def signer_or_new(self, name: str) -> Signer:
        """Return the key called `name`, made if there is none; call `save` before anything signed leaves."""
        if name not in self._signers and name not in self._seeds:
            _check_name(name)
            self._signers[name] = Signer.generate()
            self._unsaved.add(name)
        return self.signer(name)

    def create(self, name: str) -> Signer:
        """Make, keep and return a new key; raises `Conflict` if the name is taken."""
        if name in self._seeds:
            raise Conflict(
                f"a key called {name!r} exists in {self.path}",
                code="key_exists",
                hint="Choose another name; a lost key cannot be made again.",
            )
        signer = self.signer_or_new(name)
        self.save(taken_is_conflict=True)
        return signer

    def save(self, *, taken_is_conflict: bool = False) -> None:
        """Write new keys to the file, beside what another process may have added meanwhile.

        A name that another process took raises `Conflict`: what was signed with ours must not leave.
        """
        if not self._unsaved:
            return
        with _locked(self.path):
            seeds = _read(self.path)
            taken = sorted(self._unsaved & set(seeds))
            if taken:
                what = "exists" if taken_is_conflict else "was made by another process at the same time"
                raise Conflict(f"a key called {taken[0]!r} {what}", code="key_exists", hint="Run it again.")
            seeds.update({name: self._signers[name].seed.hex() for name in self._unsaved})
            _write(self.path, seeds)
        self._seeds = seeds
        self._unsaved.clear()


def _check_name(name: str) -> None:
    size = len(name.encode("utf-8", "surrogatepass"))
    if not 1 <= size <= limits.KEY_NAME_BYTES_MAX or _CONTROL.search(name) or not name.strip():
        raise Invalid(
            f"{name!r} is no name for a key",
            code="bad_key_name",
            hint=f"Use 1 to {limits.KEY_NAME_BYTES_MAX} bytes without control characters.",
        )


def private(path: Path, descriptor: int) -> None:
    """Raise `BadSettings` unless only the owner can read the open file, and the owner is this user."""
    status = os.fstat(descriptor)
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadSettings(
            f"{path} can be read by others (mode {stat.S_IMODE(status.st_mode):04o})",
            code="not_private",
            hint=f"Close it: chmod 600 {path}",
        )
    if status.st_uid != os.geteuid():
        raise BadSettings(
            f"{path} belongs to another user", code="not_private", hint="Use a file of your own."
        )


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            private(path, file.fileno())
            content = file.read(limits.KEYRING_BYTES_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadSettings(f"cannot read the key ring {path}: {error.strerror}", code="bad_keyring") from error
    try:
        ring = msgspec.json.decode(content, type=_File)
        sound = all(len(bytes.fromhex(seed)) == 32 for seed in ring.seeds.values())  # noqa: PLR2004 - a seed
    except (msgspec.DecodeError, ValueError):
        sound = False
    if not sound:
        raise BadSettings(f"{path} is no key ring", code="bad_keyring", hint="Restore it from a copy.")
    if ring.version != VERSION:
        raise BadSettings(
            f"{path} is a key ring of version {ring.version}, this program reads {VERSION}",
            code="bad_keyring",
            hint="Use the newer program that wrote it.",
        )
    return ring.seeds


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the ring against other writers; the lock file beside it stays and holds nothing."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(
            path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, seeds: dict[str, str]) -> None:
    content = msgspec.json.format(msgspec.json.encode(_File(VERSION, seeds)), indent=2) + b"\n"
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)  # 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> BadSettings:
    return BadSettings(
        f"cannot write the key ring {path}: {error.strerror}",
        code="bad_keyring",
        hint="Name another file with --keyring or STEMEDB_KEYRING.",
    )
