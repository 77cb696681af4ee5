"""POST /v1/assert/bulk: NDJSON in, NDJSON out, in bounded memory.

Lines are verified and written in chunks while the body still arrives. What became of each is kept compactly
and sent only when the whole body is read, so that a client that writes first and reads later cannot deadlock.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

import bottle
import msgspec

from stemedb import limits
from stemedb.api import problem
from stemedb.api.call import NDJSON, Call
from stemedb.api.head import BULK_PATH
from stemedb.api.lines import Lines, Paid, Taken
from stemedb.api.routes import Route
from stemedb.api.stream import Body, ChunkedBody, LengthBody
from stemedb.engine import CREATED, ENDORSED, EXISTS, QUARANTINED, Outcome
from stemedb.engine.shapes import AssertionIn
from stemedb.errors import Invalid, LengthRequired, NotFound, StemedbError, StorageFailed, TooLarge

if TYPE_CHECKING:
    from stemedb.api.service import Service

_STATUSES = (CREATED, EXISTS, ENDORSED, QUARANTINED)
_REFUSED = len(_STATUSES)
_ID_BYTES = 32
_SEND_LINES = 512  # written together


class BulkLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one line: status, hash and seq, or the problem with it."""

    line: int
    status: str = ""
    hash: str = ""
    seq: int = 0
    problem: problem.Problem | None = None


class Line(NamedTuple):
    """One line of the body, numbered from 1; its content is None where it was too long to keep."""

    number: int
    content: bytes | None


class Results:
    """What became of each line, some 45 bytes a line."""

    def __init__(self, instance: str) -> None:
        """Start empty; `instance` is the request id that problems carry."""
        self._instance = instance
        self._numbers = array("I")
        self._statuses = bytearray()
        self._seqs = array("Q")
        self._ids = bytearray()
        self._problems: dict[int, bytes] = {}
        self.position = 0
        self.counts = dict.fromkeys((*_STATUSES, "refused"), 0)

    def add(self, number: int, result: Outcome | StemedbError) -> None:
        """Note what became of line `number`; lines come in order."""
        self._numbers.append(number)
        if isinstance(result, StemedbError):
            self._statuses.append(_REFUSED)
            self._seqs.append(0)
            self._ids += bytes(_ID_BYTES)
            self._problems[number] = msgspec.json.encode(problem.problem(result, self._instance))
            self.counts["refused"] += 1
            return
        self._statuses.append(_STATUSES.index(result.status))
        self._seqs.append(result.seq)
        self._ids += result.id
        self.position = max(self.position, result.position)
        self.counts[result.status] += 1

    def render(self) -> Iterator[bytes]:
        """Yield the reply, some lines at a time."""
        block: list[bytes] = []
        for index, (number, status) in enumerate(zip(self._numbers, self._statuses, strict=True)):
            if status == _REFUSED:
                block.append(b'{"line":%d,"problem":%b}\n' % (number, self._problems[number]))
            else:
                seq, claim_id = (
                    self._seqs[index],
                    self._ids[index * _ID_BYTES : (index + 1) * _ID_BYTES].hex(),
                )
                text = f'{{"line":{number},"status":"{_STATUSES[status]}","hash":"{claim_id}","seq":{seq}}}\n'
                block.append(text.encode())
            if len(block) == _SEND_LINES:
                yield b"".join(block)
                block.clear()
        if block:
            yield b"".join(block)


def lines_of(body: Body) -> Iterator[Line]:
    """Yield the lines of `body` that came whole; raises what reading raises, `TooLarge` beyond 100,000."""
    rest, number, overlong = bytearray(), 0, False
    while block := body.read1(limits.BULK_READ_BYTES):
        # Only what is new is searched and only the line's own end copied: a line may come byte by byte.
        *ends, beginning = block.split(b"\n")
        for end in ends:
            rest += end
            number += 1
            if number > limits.BULK_LINES_MAX:
                raise TooLarge(f"more than {limits.BULK_LINES_MAX} lines; those before stand")
            yield Line(number, None if overlong or len(rest) > limits.BULK_LINE_BYTES_MAX else bytes(rest))
            rest, overlong = bytearray(), False
        rest += beginning
        if len(rest) > limits.BULK_LINE_BYTES_MAX:
            rest, overlong = bytearray(), True
    if body.complete and (rest or overlong):
        yield Line(number + 1, None if overlong else bytes(rest))


def chunks_of(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Yield `lines` in groups; when reading fails, what came before first, then the error."""
    chunk: list[Line] = []
    size_bytes = 0
    failure: StemedbError | None = None
    try:
        for line in lines:
            if line.content is not None and not line.content.strip():
                continue
            chunk.append(line)
            size_bytes += len(line.content or b"")
            if len(chunk) == limits.BULK_CHUNK_LINES_MAX or size_bytes > limits.BULK_CHUNK_BYTES_MAX:
                yield chunk
                chunk, size_bytes = [], 0
    except StemedbError as error:
        failure = error
    if chunk:
        yield chunk
    if failure:
        raise failure


def take_all(lines: Lines, chunk: Sequence[Line]) -> list[Taken | StemedbError]:
    """Read the lines of a chunk; while others ask, with pauses, since they need the same processor."""
    taken: list[Taken | StemedbError] = []
    for at, line in enumerate(chunk):
        if at >= limits.BULK_PAUSE_AFTER_LINES and at % limits.BULK_PAUSE_LINES == 0:
            _let_others(lines.service)
        if line.content is None:
            taken.append(TooLarge(f"the line is over {limits.BULK_LINE_BYTES_MAX} bytes"))
        else:
            taken.append(lines.take(line.content))
    return taken


def _let_others(service: Service) -> None:
    """Leave the processor to others for a moment, if there are any."""
    if monotonic() - service.last_request_s < limits.BULK_PAUSE_WITHIN_S:
        sleep(limits.BULK_PAUSE_S)


def _write(
    lines: Lines, numbers: Sequence[int], admitted: Sequence[Paid | StemedbError], results: Results
) -> None:
    """Make what is right durable, and note what became of each line."""
    right = [each for each in admitted if not isinstance(each, StemedbError)]
    written: list[Outcome | StemedbError]
    try:
        written = lines.service.engine.submit([each.checked for each in right], lines.caller.key_id)
    except StorageFailed:
        raise
    except StemedbError as error:
        written = [error] * len(right)
    for paid, became in zip(right, written, strict=True):
        lines.settle(paid, became)
    following = iter(written)
    for number, each in zip(numbers, admitted, strict=True):
        results.add(number, each if isinstance(each, StemedbError) else next(following))


class _Passage:
    """Chunks on their way: one is read while the one before is verified and the one before that written."""

    def __init__(self, lines: Lines, results: Results) -> None:
        self._lines = lines
        self._results = results
        self._last: Future[None] | None = None
        self._last_but_one: Future[None] | None = None

    def enter(self, chunk: Sequence[Line]) -> None:
        """Read a chunk and send it after the others; raises `StorageFailed`."""
        taken = take_all(self._lines, chunk)
        numbers = [line.number for line in chunk]
        if self._last_but_one:
            self._last_but_one.result()
        helpers = self._lines.service.helpers
        self._last_but_one, self._last = (
            self._last,
            helpers.submit(self._pass_on, numbers, taken, self._last),
        )

    def leave(self) -> None:
        """Wait until all are written; raises `StorageFailed`."""
        for passing in (self._last_but_one, self._last):
            if passing:
                passing.result()

    def _pass_on(
        self, numbers: Sequence[int], taken: Sequence[Taken | StemedbError], before: Future[None] | None
    ) -> None:
        admitted = self._lines.admit(taken)
        if before:
            before.result()
        _write(self._lines, numbers, admitted, self._results)


def _take_in(lines: Lines, body: Body, results: Results) -> None:
    """Check and write all lines of `body`; where reading fails, those before it all the same."""
    passage = _Passage(lines, results)
    try:
        for chunk in chunks_of(lines_of(body)):
            passage.enter(chunk)
    finally:
        passage.leave()


def bulk(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/assert/bulk."""
    call.no_parameters()
    service.engine  # noqa: B018  (a starting service answers 503 before it reads anything)
    body = call.environ["wsgi.input"]
    if not isinstance(body, (LengthBody, ChunkedBody)):
        raise NotFound(f"write the path plainly: {BULK_PATH}")  # an escaped form of it came by the common way
    if isinstance(body, LengthBody) and "CONTENT_LENGTH" not in call.environ:
        raise LengthRequired("send Content-Length, or the body in chunks")
    call.require_media_type(NDJSON)
    results = Results(call.environ["stemedb.request_id"])
    _take_in(Lines(service, call), body, results)
    if not body.complete:
        raise Invalid(
            "the body ended before it was complete; the whole lines before stand", code="truncated_body"
        )
    headers = {"Content-Type": NDJSON}
    if results.position:
        headers["Stemedb-Seq"] = str(results.position)
    service.log.info("bulk", request_id=call.environ["stemedb.request_id"], **results.counts)
    return bottle.HTTPResponse(results.render(), 200, headers)


ROUTES = (
    Route(
        "POST",
        BULK_PATH,
        bulk,
        "Assert many claims, one a line; each line of the reply is durable when it is sent.",
        {200: (BulkLine,)},
        body=AssertionIn,
        body_type=NDJSON,
        reply_type=NDJSON,
        refusals=(408, 411, 413, 415),
    ),
)
