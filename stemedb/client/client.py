"""The client: one method for each thing the service offers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar, final, overload

import msgspec

from stemedb import limits
from stemedb.client.bulk import BulkResult, batches, read_results
from stemedb.client.filters import ALL, Filters
from stemedb.client.problems import error_of
from stemedb.client.signing import encode
from stemedb.client.transport import Reply, Request, Transport
from stemedb.client.verify import verify_claim
from stemedb.errors import Invalid, StemedbError, Unavailable, Unprocessable
from stemedb.model.erasure import EraseIn, EraseReply
from stemedb.model.history import ProofPage, SignedHead
from stemedb.model.replies import (
    ClaimOut,
    HealthReply,
    LensReply,
    PrepareReply,
    QueryReply,
    SkepticReply,
    WriteReply,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from stemedb.client.bulk import Batch
    from stemedb.model import SignedAssertion

T = TypeVar("T")
_UNAVAILABLE = Unavailable.status
_REDIRECT = 300


@final
class Client:
    """A connection to one server. A context manager; not for use by two threads at once.

    Every method raises the errors of `stemedb.errors`; `Unavailable` with `reason`
    "unreachable" when there was no answer at all.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = limits.CLIENT_TIMEOUT_S,
        patience_s: float = limits.CLIENT_PATIENCE_S,
        verify: bool = True,
    ) -> None:
        """Prepare a connection to `url`; nothing is sent yet. Raises `Invalid` for what is no address."""
        self._transport = Transport(url, api_key=api_key, timeout_s=timeout_s, patience_s=patience_s)
        self._patience_s = patience_s
        self._verify = verify

    @property
    def url(self) -> str:
        """The server's address."""
        return self._transport.url

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    # -- writing --

    def assert_claim(self, claim: SignedAssertion) -> WriteReply:
        """Store `claim`; when this returns, it is on stable storage."""
        body, content_id = encode(claim)
        reply = self._read(Request("POST", "/v1/assert", body=body), WriteReply)
        if reply.hash != content_id:
            raise Unprocessable(
                f"the server stored {reply.hash} instead of {content_id}",
                code="reply_unverified",
                hint="Do not trust this server.",
            )
        return reply

    def prepare(self, claim: SignedAssertion, signature_timestamp: int | None = None) -> PrepareReply:
        """Return the server's view of what is to be signed, for checking an encoder against it."""
        fields = msgspec.json.decode(encode(claim)[0], type=dict[str, object])
        del fields["signatures"], fields["hash"]
        if signature_timestamp is not None:
            fields["signature_timestamp"] = signature_timestamp
        return self._read(
            Request("POST", "/v1/assert/prepare", body=msgspec.json.encode(fields)), PrepareReply
        )

    def bulk(self, claims: Iterable[SignedAssertion]) -> Iterator[BulkResult]:
        """Store many claims; yields one result for each, in order, holding one batch in memory."""
        done = 0
        for batch in batches(claims):
            for result in self.send_batch(batch):
                yield msgspec.structs.replace(result, line=done + result.line)
            done += len(batch.lines)

    def send_batch(self, batch: Batch) -> list[BulkResult]:
        """Store the lines of one batch; lines refused for now (503) are sent again while patience lasts."""
        results = self._send_lines(batch)
        deadline_s = time.monotonic() + self._patience_s
        pause_s = limits.CLIENT_BACKOFF_S
        while (waiting := _refused_for_now(results)) and time.monotonic() + pause_s < deadline_s:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, limits.CLIENT_BACKOFF_S_MAX)
            for index, result in zip(waiting, self._send_lines(batch.part(waiting)), strict=True):
                results[index] = msgspec.structs.replace(result, line=index + 1)
        return results

    def _send_lines(self, batch: Batch) -> list[BulkResult]:
        request = Request("POST", "/v1/assert/bulk", body=batch.body, content_type="application/x-ndjson")
        return read_results(self._checked(request).body, batch)

    # -- reading --

    def assertion(self, claim_hash: str) -> ClaimOut:
        """Return the claim with this id (64 hex digits); raises `NotFound` or `Gone`."""
        if len(claim_hash) != 64 or not set(claim_hash) <= set("0123456789abcdef"):  # noqa: PLR2004
            raise Invalid(f"{claim_hash!r} is no claim id", hint="An id is 64 lower-case hex digits.")
        claim = self._read(Request("GET", f"/v1/assertion/{claim_hash}"), ClaimOut)
        self._check([claim])
        if claim.hash != claim_hash:
            raise Unprocessable(
                f"the server answered with {claim.hash}, not {claim_hash}", code="reply_unverified"
            )
        return claim

    @overload
    def query(
        self,
        subject: str,
        predicate: str = ...,
        *,
        lens: None = None,
        filters: Filters = ...,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> QueryReply: ...

    @overload
    def query(self, subject: str, predicate: str, *, lens: str, filters: Filters = ...) -> LensReply: ...

    def query(
        self,
        subject: str,
        predicate: str = "*",
        *,
        lens: str | None = None,
        filters: Filters = ALL,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> QueryReply | LensReply:
        """Ask for a page of claims, newest first; with `lens`, for their resolution."""
        params = _question(subject, predicate, filters)
        if lens is not None:
            answer = self._read(Request("GET", "/v1/query", (*params, ("lens", lens))), LensReply)
            self._check([] if answer.winner is None else [answer.winner])
            return answer
        if limit is not None:
            params = (*params, ("limit", str(limit)))
        if cursor is not None:
            params = (*params, ("cursor", cursor))
        page = self._read(Request("GET", "/v1/query", params), QueryReply)
        self._check(page.assertions)
        return page

    def claims(self, subject: str, predicate: str = "*", filters: Filters = ALL) -> Iterator[ClaimOut]:
        """Yield every matching claim, newest first, fetching page after page as of the first one's moment."""
        cursor = None
        while True:
            page = self.query(subject, predicate, filters=filters, limit=limits.PAGE_ITEMS_MAX, cursor=cursor)
            yield from page.assertions
            cursor = page.next_cursor
            if cursor is None:
                return

    def skeptic(self, subject: str, predicate: str, filters: Filters = ALL) -> SkepticReply:
        """Return the quarrel itself: every value, with its share of all weight."""
        answer = self._read(
            Request("GET", "/v1/skeptic", _question(subject, predicate, filters)), SkepticReply
        )
        self._check([each.newest for each in answer.claims])
        return answer

    # -- administering --

    def erase(self, hashes: Sequence[str], reason: str, *, now: bool = False) -> EraseReply:
        """Erase claims and sources for good; return the state of every copy.

        The reason stays in the log. `now` has old bytes of the view removed at once. Raises `NotFound` if one
        of the ids is not known; nothing is erased then.
        """
        body = msgspec.json.encode(EraseIn(list(hashes), reason, now))
        return self._read(Request("POST", "/v1/admin/erase", body=body), EraseReply)

    def log_head(self) -> SignedHead:
        """Return the head of the server's log, signed by its key; worth keeping for a later audit."""
        return self._read(Request("GET", "/v1/log/head"), SignedHead)

    def log_hashes(self, first_seq: int, last_seq: int) -> list[bytes]:
        """Return the hashes of these records, at most 10,000."""
        params = (("from", str(first_seq)), ("to", str(last_seq)))
        page = self._read(Request("GET", "/v1/log/proof", params), ProofPage)
        return [bytes.fromhex(each) for each in page.hashes]

    def health(self) -> HealthReply:
        """Return the server's health at once; starting and draining are answers here, not errors."""
        reply = self._transport.send(Request("GET", "/v1/health", repeat=False))
        if reply.status == _UNAVAILABLE:
            try:
                return msgspec.json.decode(reply.body, type=HealthReply)
            except msgspec.DecodeError:
                raise error_of(reply) from None
        return _decoded(_accepted(reply), HealthReply)

    def _read(self, request: Request, kind: type[T]) -> T:
        return _decoded(self._checked(request), kind)

    def _checked(self, request: Request) -> Reply:
        return _accepted(self._transport.send(request))

    def _check(self, claims: list[ClaimOut]) -> None:
        if self._verify:
            for claim in claims:
                verify_claim(claim)


def _question(subject: str, predicate: str, filters: Filters) -> tuple[tuple[str, str], ...]:
    return (("subject", subject), ("predicate", predicate), *filters.params())


def _refused_for_now(results: list[BulkResult]) -> list[int]:
    return [i for i, each in enumerate(results) if each.problem and each.problem.status == _UNAVAILABLE]


def _accepted(reply: Reply) -> Reply:
    """Return a reply that is no error; raises the error that it is otherwise (redirects included)."""
    if reply.status >= _REDIRECT:
        raise error_of(reply)
    return reply


def _decoded(reply: Reply, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StemedbError(
            f"the server's reply cannot be read: {error}",
            code="reply_unreadable",
            hint="Is this a stemedb server of the same version?",
        ) from error
