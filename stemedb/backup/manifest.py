"""A snapshot's manifest: what it holds, signed by the server's key, believed only by keys that are given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3

from stemedb.errors import Corrupt, Invalid
from stemedb.limits import BACKUP_MANIFEST_BYTES_MAX
from stemedb.log.files import write_file
from stemedb.model import Signer
from stemedb.model.history import SignedHead, verify_head
from stemedb.model.signing import verify_detached

FORMAT_VERSION: Final = 1
MANIFEST_NAME: Final = "manifest.json"
SEAL_NAME: Final = "manifest.sig"
_DOMAIN: Final = b"stemedb:backup:v1\n"
_READ_BYTES: Final = 1024 * 1024
_OTHER: Final = "move that snapshot out of the folder: the log and the other snapshots do without it"

Trusted = frozenset[bytes]
"""Public keys (32 bytes each) that a backup is believed by."""


class FileEntry(msgspec.Struct, frozen=True):
    """A file of the snapshot: its path in it, its size, its BLAKE3-256 (hex)."""

    path: str
    bytes: int
    blake3: str


class SegmentEntry(msgspec.Struct, frozen=True):
    """A segment of the log in `wal`: its first record, and the chain value (hex) before that."""

    name: str
    first_seq: int
    chain: str


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot is: the state after record `seq` of a log, and the log up to there.

    `chain` (hex) is the chain value after `seq`: it stands for every byte of the log before. `recorded_at`
    (microseconds) is when that record was accepted, `created_at` (Unix seconds) when the backup was made.
    `log_bytes` is where in the whole log the record ends.
    """

    format: int
    version: str
    log_id: str
    first_seq: int
    seq: int
    chain: str
    recorded_at: int
    created_at: int
    claims_count: int
    state_digest: str
    log_bytes: int
    files: list[FileEntry]
    segments: list[SegmentEntry]


class Seal(msgspec.Struct, frozen=True):
    """A manifest's signature: whose key, and its Ed25519 signature over the manifest's bytes (both hex)."""

    server_key: str
    signature: str


def write_manifest(folder: Path, manifest: Manifest, signer: Signer) -> None:
    """Write manifest and signature, synced."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    seal = Seal(signer.agent_id.hex(), signer.sign_message(_DOMAIN + data).hex())
    write_file(folder / MANIFEST_NAME, data)
    write_file(folder / SEAL_NAME, msgspec.json.encode(seal) + b"\n")


def read_manifest(folder: Path, trusted: Trusted | None) -> Manifest:
    """Read a snapshot's manifest; with `trusted` its signature is checked, None only shows what it says.

    Raises:
        Corrupt: it is missing, not what was signed, signed by an untrusted key, or of a later version.
    """
    data, seal_data = (_read(folder / name) for name in (MANIFEST_NAME, SEAL_NAME))
    if trusted is not None:
        _require_signed(folder, data, seal_data, trusted)
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise _bad(folder / MANIFEST_NAME, str(error)) from None
    if folder.name.rpartition("-")[2] != f"{found.seq:012}":
        raise _bad(
            folder / MANIFEST_NAME, f"it is of a snapshot of record {found.seq}: the folder was renamed"
        )
    if found.format > FORMAT_VERSION:
        raise _bad(folder / MANIFEST_NAME, f"format {found.format}; this version reads {FORMAT_VERSION}")
    return found


def require_trusted_head(path: Path, head: SignedHead, trusted: Trusted) -> None:
    """Raise `Corrupt` unless a head is signed by a trusted key."""
    _require_trusted(path, head.server_key, trusted)
    try:
        verify_head(head)
    except Invalid as error:
        raise _bad(path, error.detail) from None


def _require_signed(folder: Path, data: bytes, seal_data: bytes, trusted: Trusted) -> None:
    try:
        seal = msgspec.json.decode(seal_data, type=Seal)
        signature, key = bytes.fromhex(seal.signature), bytes.fromhex(seal.server_key)
    except ValueError as error:  # a DecodeError is one
        raise _bad(folder / SEAL_NAME, str(error)) from None
    _require_trusted(folder / SEAL_NAME, seal.server_key, trusted)
    if not verify_detached(_DOMAIN + data, signature, key):
        raise _bad(folder / MANIFEST_NAME, "it is not what was signed")


def _require_trusted(path: Path, server_key: str, trusted: Trusted) -> None:
    if server_key not in {key.hex() for key in trusted}:
        raise Corrupt(
            f"{path}: signed by {server_key[:64]}, a key that is not trusted",
            code="untrusted_backup",
            ways_out=("if it is the server's own key, known from elsewhere than this backup: --trust-key",),
        )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(BACKUP_MANIFEST_BYTES_MAX + 1)
    except FileNotFoundError:
        raise _bad(path, "it is missing") from None
    if len(data) > BACKUP_MANIFEST_BYTES_MAX:
        raise _bad(path, "it is too large")
    return data


def _bad(path: Path, detail: str) -> Corrupt:
    return Corrupt(f"{path}: {detail}", code="bad_backup", ways_out=(_OTHER,))


def entry_of(folder: Path, path: Path) -> FileEntry:
    """Read a file of a snapshot and describe it."""
    digest, size = hash_file(path)
    return FileEntry(str(path.relative_to(folder)), size, digest)


def hash_file(path: Path, alive: Callable[[int], None] = lambda _bytes: None) -> tuple[str, int]:
    """Return a file's BLAKE3-256 (hex) and its size; `alive` is told the bytes of each piece."""
    hasher, size = blake3(), 0
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            hasher.update(piece)
            size += len(piece)
            alive(len(piece))
    return hasher.hexdigest(), size


def require_file(folder: Path, entry: FileEntry, alive: Callable[[int], None] = lambda _bytes: None) -> None:
    """Raise `Corrupt` unless a file is there and what the manifest says."""
    path = folder / entry.path
    if not path.is_file():
        raise _bad(path, "it is missing, and no erasure explains that")
    if hash_file(path, alive) != (entry.blake3, entry.bytes):
        raise _bad(path, "it is not what the manifest says (BLAKE3)")
