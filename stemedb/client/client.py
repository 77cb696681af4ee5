"""The client: one method for each thing the service offers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, final
from urllib.parse import quote

import msgspec

from stemedb import limits
from stemedb.client.bulk import BulkResult, batches, read_results
from stemedb.client.connected import accepted, decoded, require_id
from stemedb.client.filters import PRESENT, When
from stemedb.client.lists import Lists
from stemedb.client.problems import error_of
from stemedb.client.reading import Reading
from stemedb.client.signing import encode
from stemedb.client.statements import Statements
from stemedb.client.transport import Request
from stemedb.errors import Unavailable
from stemedb.model.erasure import EraseIn, EraseReply
from stemedb.model.guard_replies import BreakerOut, BreakersReply, QuotaIn, QuotaOut, QuotasReply
from stemedb.model.history import ProofPage, SignedHead
from stemedb.model.keys_wire import KeyIn, KeyMade, KeyOut, KeysReply
from stemedb.model.operations_wire import SlowQueriesReply, StorageReply
from stemedb.model.quarantine_wire import REJECTED, WAITING, QuarantineReply
from stemedb.model.replies import ClaimOut, HealthReply, PrepareReply, StatementReply, WriteReply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from stemedb.client.bulk import Batch
    from stemedb.model import SignedAssertion

_UNAVAILABLE = Unavailable.status


@final
class Client(Statements, Reading, Lists):
    """A connection to one server. A context manager; not for use by two threads at once.

    Every method raises the errors of `stemedb.errors`; `Unavailable` with `reason`
    "unreachable" when there was no answer at all.
    """

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- claims --

    def assert_claim(self, claim: SignedAssertion) -> WriteReply:
        """Store `claim`; when this returns, it is on stable storage."""
        body, content_id = encode(claim)
        reply = self._write("/v1/assert", body, WriteReply)
        self._expect(content_id, reply.hash, "stored")
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
        reply = self._checked(request)
        self._keep_position(reply)
        return read_results(reply.body, batch)

    def assertion(self, claim_hash: str, when: When = PRESENT) -> ClaimOut:
        """Return the claim with this id (64 hex digits); raises `NotFound` or `Gone`."""
        claim = self._get(f"/v1/assertion/{require_id(claim_hash)}", ClaimOut, when.params())
        self._check([claim])
        self._expect(claim_hash, claim.hash, "answered with")
        return claim

    # -- administering --

    def erase(self, hashes: Sequence[str], reason: str, *, now: bool = False) -> EraseReply:
        """Erase claims and sources for good; return the state of every copy.

        The reason stays in the log. `now` has old bytes of the view removed at once. Raises `NotFound` if one
        of the ids is not known; nothing is erased then.
        """
        return self._write("/v1/admin/erase", EraseIn(list(hashes), reason, now), EraseReply)

    # -- keys --

    def create_key(self, wanted: KeyIn) -> KeyMade:
        """Make an API key; its secret is in this reply and nowhere else."""
        return self._write("/v1/admin/keys", wanted, KeyMade)

    def keys(self) -> Iterator[KeyOut]:
        """Yield every API key, revoked ones too, without their secrets."""
        params: tuple[tuple[str, str], ...] = ()
        while True:
            page = self._read(Request("GET", "/v1/admin/keys", params), KeysReply)
            yield from page.keys
            if page.next_cursor is None:
                return
            params = (("cursor", page.next_cursor),)

    def revoke_key(self, key_id: str) -> None:
        """End an API key, at once; raises `NotFound`, or `Conflict` for the last admin key."""
        self._keep_position(self._checked(Request("DELETE", f"/v1/admin/keys/{quote(key_id, safe='')}")))

    def breakers(self) -> Iterator[BreakerOut]:
        """Yield the breakers that are not at rest."""
        params: tuple[tuple[str, str], ...] = ()
        while True:
            page = self._read(Request("GET", "/v1/admin/circuit_breakers", params), BreakersReply)
            yield from page.circuit_breakers
            if page.next_cursor is None:
                return
            params = (("cursor", page.next_cursor),)

    def switch_breaker(self, agent_id: str, action: str) -> BreakerOut:
        """Shut an agent out for a while (`open`) or let it in again (`reset`)."""
        path = f"/v1/admin/circuit_breakers/{require_id(agent_id, 'agent id')}/{action}"
        return self._write(path, b"", BreakerOut)

    def quotas(self) -> Iterator[QuotaOut]:
        """Yield the agents with quotas of their own."""
        params: tuple[tuple[str, str], ...] = ()
        while True:
            page = self._get("/v1/admin/quotas", QuotasReply, params)
            yield from page.quotas
            if page.next_cursor is None:
                return
            params = (("cursor", page.next_cursor),)

    def set_quota(self, agent_id: str, tokens: int) -> StatementReply:
        """Give an agent a quota of its own: tokens for an hour, instead of what everybody has."""
        return self._write(
            "/v1/admin/quotas", QuotaIn(require_id(agent_id, "agent id"), tokens), StatementReply
        )

    def end_quota(self, agent_id: str) -> None:
        """Give an agent again what everybody has; raises `NotFound` where it has that already."""
        path = f"/v1/admin/quotas/{require_id(agent_id, 'agent id')}"
        self._keep_position(self._checked(Request("DELETE", path)))

    # -- the quarantine --

    def quarantine(
        self, *, rejected: bool = False, limit: int | None = None, cursor: str | None = None
    ) -> QuarantineReply:
        """Return a page of the claims that were held back, or of those that were rejected."""
        given = (
            ("state", REJECTED if rejected else WAITING),
            ("limit", None if limit is None else str(limit)),
            ("cursor", cursor),
        )
        params = tuple((name, text) for name, text in given if text is not None)
        return self._get("/v1/admin/quarantine", QuarantineReply, params)

    def approve(self, claim_hash: str) -> WriteReply:
        """Let a claim out of the quarantine, rejected or not; raises `NotFound`, `Gone`."""
        return self._write(f"/v1/admin/quarantine/{require_id(claim_hash)}/approve", b"", WriteReply)

    def reject(self, claim_hash: str) -> WriteReply:
        """Keep a claim in quarantine for good; raises `NotFound`, `Gone`, `Conflict` where it has left."""
        return self._write(f"/v1/admin/quarantine/{require_id(claim_hash)}/reject", b"", WriteReply)

    # -- the log and the server --

    def storage_stats(self) -> StorageReply:
        """Return what log and view hold and take, and what their disks have left."""
        return self._read(Request("GET", "/v1/admin/storage/stats"), StorageReply)

    def slow_queries(self, *, limit: int | None = None, cursor: str | None = None) -> SlowQueriesReply:
        """Return a page of the last questions that took long, the newest first."""
        given = (("limit", None if limit is None else str(limit)), ("cursor", cursor))
        params = tuple((name, text) for name, text in given if text is not None)
        return self._read(Request("GET", "/v1/admin/slow-queries", params), SlowQueriesReply)

    def metrics(self) -> str:
        """Return the server's metrics in Prometheus' text format."""
        return self._checked(Request("GET", "/metrics")).body.decode()

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
        return decoded(accepted(reply), HealthReply)


def _refused_for_now(results: list[BulkResult]) -> list[int]:
    return [i for i, each in enumerate(results) if each.problem and each.problem.status == _UNAVAILABLE]
