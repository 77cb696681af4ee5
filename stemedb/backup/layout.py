"""What a backup folder holds, and the small files in it that say how things stand.

::

    wal/            the archive: the log's own files, byte for byte; archive.json says how far it goes
    20261125T.../   a snapshot: manifest.json, manifest.sig, view/data.mdb
    verified.json, drill.json   what the last verification and drill found
    lock            held by whoever makes, removes or changes snapshots
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from stemedb.errors import Corrupt, NotFound
from stemedb.log import Head
from stemedb.log.files import write_all
from stemedb.model.history import SignedHead

WAL_NAME: Final = "wal"
STATE_NAME: Final = "archive.json"
VERIFIED_NAME: Final = "verified.json"
DRILL_NAME: Final = "drill.json"
SNAPSHOT_NAME: Final = re.compile(r"\d{8}T\d{6}Z-\d{12,20}")

Kept = TypeVar("Kept", bound=msgspec.Struct)


class ArchiveState(msgspec.Struct, frozen=True):
    """How far an archive goes. Everything up to `head` is on stable storage in it.

    `base` and `offset` say where that ends (segment, byte in it). Erasures up to record `erased_seq` have
    been carried out in the archive and in every snapshot beside it. `caught_up_at` and `updated_at`
    (microseconds): when it last held all that was synced, and when this was written.
    """

    head: SignedHead
    base: int
    offset: int
    erased_seq: int
    caught_up_at: int
    updated_at: int


class DrillState(msgspec.Struct, frozen=True):
    """How the last drill ended: result (pass, fail, inconclusive), when (Unix seconds), in words, and times.

    `passed_at` is when one last passed (Unix seconds; 0 never).
    """

    result: str
    at: int
    detail: str
    seq: int
    seconds: float
    passed_at: int


def plain_head(signed: SignedHead) -> Head:
    """Return a head without its signature."""
    return Head(signed.seq, bytes.fromhex(signed.chain), signed.time)


def read_state(path: Path, kind: type[Kept]) -> Kept | None:
    """Read one of the small files; None where there is none.

    Raises:
        Corrupt: it cannot be read as one.
        OSError: the folder cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        ways_out = ("remove the file: it is made again",)
        raise Corrupt(f"{path}: {error}", code="bad_backup", ways_out=ways_out) from None


def write_state(path: Path, state: msgspec.Struct) -> None:
    """Put one of the small files in place, whole and synced.

    After a power cut the one before it may stand there again: none of them must be trusted to be the newest.

    Raises:
        OSError: it could not be written.
    """
    draft = path.with_name(path.name + ".tmp")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, msgspec.json.encode(state) + b"\n", 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.rename(path)


def snapshot_folders(backup_dir: Path) -> list[Path]:
    """List the snapshots, the oldest first.

    Raises:
        NotFound: there is no such folder.
    """
    try:
        return sorted(path for path in backup_dir.iterdir() if SNAPSHOT_NAME.fullmatch(path.name))
    except FileNotFoundError:
        raise NotFound(f"there is no folder {backup_dir}", hint="Name the folder of the backups.") from None
