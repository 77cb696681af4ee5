"""The import itself: rows in, batches out, and a summary of what became of them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

import msgspec

from stemedb import limits
from stemedb.cli.importing.mapping import exported_claim
from stemedb.client import batches, sign
from stemedb.errors import StemedbError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from stemedb.cli.importing.mapping import Mapping
    from stemedb.cli.importing.rows import Row
    from stemedb.client import BulkResult, Client
    from stemedb.model import SignedAssertion, Signer


class Signers(Protocol):
    """Where keys come from, by name. `save` is called before anything that new ones signed leaves."""

    def signer_or_new(self, name: str) -> Signer:
        """Return the key called `name`, made if need be."""
        ...

    def save(self) -> None:
        """Make new keys durable."""
        ...


class Refusal(msgspec.Struct, frozen=True):
    """A line that did not become a claim, and why."""

    line: int
    reason: str


class Summary(msgspec.Struct):
    """What became of the rows so far. `done_line` is the last line that is dealt with, to go on after it."""

    rows: int = 0
    created: int = 0
    exists: int = 0
    endorsed: int = 0
    quarantined: int = 0
    empty: int = 0
    refused: int = 0
    sources: int = 0
    done_line: int = 0
    refusals: list[Refusal] = []
    interrupted: bool = False

    def refuse(self, line: int, reason: str) -> None:
        """Count a refused line; the first ones are kept for the list."""
        self.refused += 1
        if len(self.refusals) < limits.IMPORT_REFUSED_LISTED_MAX:
            self.refusals.append(Refusal(line, reason))


class Import:
    """One run over one file. `summary` is true at every moment, also after an interruption."""

    def __init__(
        self, mapping: Mapping, signers: Signers, *, default_timestamp: int, signed_by: str | None = None
    ) -> None:
        """Sign each row with the key of its source, or all with the key called `signed_by`."""
        self.summary = Summary()
        self._mapping = mapping
        self._signers = signers
        self._default_timestamp = default_timestamp
        self._signed_by = signed_by
        self._sources: set[str] = set()
        self._lines: deque[int] = deque()

    def run(
        self, rows: Iterable[Row], client: Client, progress: Callable[[], None] = lambda: None
    ) -> Summary:
        """Send every row; raises what stops the import (no server, no right, no room)."""
        try:
            for batch in batches(self._claims(rows)):
                self._signers.save()
                results = client.send_batch(batch)
                for result in results:
                    self._count(result, self._lines.popleft())
                progress()
        finally:
            self.summary.refusals.sort(key=lambda refusal: refusal.line)
            self.summary.sources = len(self._sources)
        return self.summary

    def _count(self, result: BulkResult, line: int) -> None:
        """Count what became of one line; raises `Unavailable` if the server wants nothing more for now."""
        if result.status == "created":
            self.summary.created += 1
        elif result.status == "exists":
            self.summary.exists += 1
        elif result.status == "endorsed":
            self.summary.endorsed += 1
        elif result.status == "quarantined":
            self.summary.quarantined += 1
        elif isinstance(result.error, Unavailable):
            raise result.error
        elif result.error is not None:
            self.summary.refuse(line, result.error.detail)
        self.summary.done_line = line

    def _claims(self, rows: Iterable[Row]) -> Iterator[SignedAssertion]:
        for row in rows:
            self.summary.rows += 1
            try:
                if row.fault is not None:
                    self.summary.refuse(row.line, row.fault)
                    continue
                claim = self._claim(row)
            except StemedbError as error:
                self.summary.refuse(row.line, error.detail)
                continue
            if claim is None:
                self.summary.empty += 1
                continue
            self._lines.append(row.line)
            yield claim

    def _claim(self, row: Row) -> SignedAssertion | None:
        if self._signed_by is None and self._mapping.may_carry_signatures():
            exported = exported_claim(row.cells)
            if exported is not None:
                return exported
        assertion = self._mapping.assertion(row.cells, self._default_timestamp)
        if assertion is None:
            return None
        source = self._signed_by or self._mapping.source(row.cells)
        self._sources.add(source)
        # Signed as of the claim's own time: only then does the same file give the same bytes again.
        return sign(assertion, self._signers.signer_or_new(source))
