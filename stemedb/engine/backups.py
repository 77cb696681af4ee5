"""What the engine asks about backups, which another process makes: a protocol, kept by the room `backup`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from stemedb.model.backup import BackupReply
from stemedb.model.erasure import CopyOut


class Backups(Protocol):
    """Tells how the backups stand. Every answer may be asked for at any time, by many threads."""

    def status(self, head_seq: int) -> BackupReply:
        """Return what is known; `head_seq` is the log's last record."""

    def trouble(self, head_seq: int, recorded_at: Callable[[int], int]) -> str:
        """Say in words that the archive is too far behind the log; "" where it is not.

        `recorded_at` tells when a record was accepted (microseconds).
        """

    def copies(self, erasure_seq: int) -> Sequence[CopyOut]:
        """Return the state of the copies that hold what the erasure at this seq is about."""
