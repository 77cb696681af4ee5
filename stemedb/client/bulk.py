"""Many claims at once: batches of NDJSON, and what became of each line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stemedb import limits
from stemedb.client.problems import Problem
from stemedb.client.signing import encode
from stemedb.errors import StemedbError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stemedb.model import SignedAssertion


class BulkResult(msgspec.Struct, frozen=True):
    """What became of one claim: `status` is one of `WriteReply`, or there is a `problem`.

    `line` counts the claims given, from 1.
    """

    line: int
    hash: str | None = None
    status: str | None = None
    seq: int | None = None
    problem: Problem | None = None

    @property
    def error(self) -> StemedbError | None:
        """The refusal as an error of the tree, None if the claim is in."""
        return None if self.problem is None else self.problem.as_error()


class Batch(NamedTuple):
    """The lines of one request, with the ids they must come back with."""

    lines: tuple[bytes, ...]
    ids: tuple[str, ...]

    @property
    def body(self) -> bytes:
        """The NDJSON."""
        return b"\n".join(self.lines) + b"\n"

    def part(self, indexes: list[int]) -> Batch:
        """Return a batch of only these lines (counted from 0)."""
        return Batch(tuple(self.lines[i] for i in indexes), tuple(self.ids[i] for i in indexes))


def batches(claims: Iterable[SignedAssertion]) -> Iterator[Batch]:
    """Yield `claims` in batches that fit into one request each; only one batch is held at a time."""
    lines: list[bytes] = []
    ids: list[str] = []
    size_bytes = 0
    for claim in claims:
        line, content_id = encode(claim)
        full = len(lines) >= limits.CLIENT_BATCH_LINES_MAX
        if lines and (full or size_bytes + len(line) > limits.CLIENT_BATCH_BYTES_MAX):
            yield Batch(tuple(lines), tuple(ids))
            lines, ids, size_bytes = [], [], 0
        lines.append(line)
        ids.append(content_id)
        size_bytes += len(line) + 1
    if lines:
        yield Batch(tuple(lines), tuple(ids))


def read_results(body: bytes, batch: Batch) -> list[BulkResult]:
    """Return one result a line; raises `Unavailable` if the reply is not whole or not about these lines."""
    try:
        results = [msgspec.json.decode(line, type=BulkResult) for line in body.splitlines() if line.strip()]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _broken(f"a line of it cannot be read: {error}") from error
    if len(results) != len(batch.lines):
        raise _broken(f"{len(results)} results for {len(batch.lines)} lines")
    for index, (result, content_id) in enumerate(zip(results, batch.ids, strict=True)):
        if result.line != index + 1 or (result.problem is None and result.hash != content_id):
            raise _broken(f"result {index + 1} is about another claim")
    return results


def _broken(what: str) -> Unavailable:
    return Unavailable(
        f"the server's bulk reply is broken: {what}",
        code="bulk_reply_broken",
        hint="Send it again: what has arrived already is recognised.",
    )
