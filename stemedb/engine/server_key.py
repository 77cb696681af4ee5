"""The server's own key: it signs the head of the log, and its public half stands in the first record."""

from __future__ import annotations

import os
from pathlib import Path

from stemedb.errors import BadSettings, Corrupt
from stemedb.model.signing import SEED_BYTES, Signer

FILE_NAME = "server.key"


def load_server_key(folder: Path) -> Signer:
    """Return the server's signer, made at the first start (folder 0700, file 0600, hex of the seed).

    Raises `Corrupt` when the file is not a key, `BadSettings` when the folder cannot be used.
    """
    path = folder / FILE_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_durably(path, Signer.generate().seed.hex() + "\n")
        text = path.read_text("ascii").strip()
    except OSError as error:
        raise BadSettings(f"STEMEDB_KEY_DIR {folder}: {error.strerror}") from error
    except UnicodeDecodeError:
        text = ""
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise Corrupt(
            f"{path} does not hold a key", code="corrupt_key", ways_out=("restore it from a backup",)
        )
    return Signer(seed)


def _write_durably(path: Path, text: str) -> None:
    """Write by rename, so that no crash leaves half a key, and sync file and folder."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
