"""What the fold needs to know of a log record; the log room's own `Record` is one."""

from __future__ import annotations

from typing import Protocol


class FoldRecord(Protocol):
    """A record of the log."""

    @property
    def seq(self) -> int:
        """Its position in the log."""

    @property
    def recorded_at(self) -> int:
        """When it was accepted, in microseconds."""

    @property
    def type(self) -> int:
        """A `RecordType`, or one this version does not know."""

    @property
    def body(self) -> bytes:
        """MessagePack, by type; empty when erased."""

    @property
    def redacted(self) -> bool:
        """Whether it was erased."""
