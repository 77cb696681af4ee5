"""Balances of the meter, kept over a restart: a small file beside the view, local to this host.

No part of the log or of any digest. It is replaced whole, by rename; one that cannot be read counts as none.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

FILE_NAME = "meter.balances"

Levels = list[tuple[bytes, float]]


class Balances(msgspec.Struct, frozen=True, array_like=True):
    """What was left at `saved_at_s` (Unix seconds), by name: of agents, and of callers."""

    saved_at_s: float
    agents: Levels
    callers: Levels


def load_balances(folder: Path) -> Balances | None:
    """Return what was saved last, None where there is nothing that can be read."""
    try:
        return msgspec.msgpack.decode((folder / FILE_NAME).read_bytes(), type=Balances)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def save_balances(folder: Path, balances: Balances) -> None:
    """Replace what was saved; raises `OSError` where that is not possible.

    Not synced: it must survive the process, and a power cut costs nobody but the meter.
    """
    fresh = folder / f"{FILE_NAME}.new"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.msgpack.encode(balances))
    fresh.rename(folder / FILE_NAME)
