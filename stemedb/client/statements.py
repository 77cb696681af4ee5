"""Saying things beside plain claims: votes, epochs, sources, corrections, aliases, gold standards.

Times that are left out are this machine's, so that a statement sent again is the same statement.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stemedb.client.connected import Connected, require_id
from stemedb.client.signing import encode, sign_epoch, sign_vote
from stemedb.model import Signer, Value
from stemedb.model.replies import StatementReply, WriteReply
from stemedb.model.statements import Supersession, alias_id, gold_id
from stemedb.model.statements_wire import AliasIn, GoldStandardIn, SourceIn, SourceStatusIn, gold_from_wire
from stemedb.model.wire import value_to_wire

if TYPE_CHECKING:
    from stemedb.model import SignedAssertion


class Statements(Connected):
    """The methods that say something; when one returns, it is on stable storage.

    Each answers `created`, or `exists` for what was said before.
    """

    def vote(
        self, claim_hash: str, weight: float, signer: Signer, *, timestamp: int | None = None
    ) -> StatementReply:
        """Vote for (up to 1) or against (down to -1) a claim; 0 takes an earlier vote back.

        Raises `NotFound` for an unknown claim, `Gone` for an erased one.
        """
        body, content_id = sign_vote(require_id(claim_hash), weight, signer, _time(timestamp))
        reply = self._write("/v1/vote", body, StatementReply)
        self._expect(content_id, reply.id, "stored vote")
        return reply

    def begin_epoch(
        self,
        name: str,
        signer: Signer,
        *,
        supersedes: str | None = None,
        supersession: Supersession = Supersession.REPLACES,
        timestamp: int | None = None,
    ) -> StatementReply:
        """Begin an epoch; `supersession` says what becomes of the epoch that it `supersedes`.

        Raises `NotFound` where that one is unknown, `Forbidden` where it is not yours.
        """
        old = None if supersedes is None else require_id(supersedes, "epoch id")
        body, content_id = sign_epoch(name, signer, _time(timestamp), old, supersession)
        reply = self._write("/v1/epoch", body, StatementReply)
        self._expect(content_id, reply.id, "stored epoch")
        return reply

    def add_source(self, source: SourceIn) -> WriteReply:
        """Register a source; raises `Conflict` where another one has its hash."""
        reply = self._write("/v1/source", _timed(source), WriteReply)
        self._expect(source.source_hash, reply.hash, "stored source")
        return reply

    def set_source_status(self, source_hash: str, status: str, *, timestamp: int | None = None) -> WriteReply:
        """Make a source `Active`, `Disputed` or `Retracted`, with all that rests on it."""
        path = f"/v1/source/{require_id(source_hash, 'source hash')}"
        return self._write(path, SourceStatusIn(status, _time(timestamp)), WriteReply, method="PATCH")

    def supersede(self, claim: SignedAssertion) -> WriteReply:
        """Store a claim that revises its parent.

        Raises `NotFound` for an unknown parent, `Conflict` where it is about something else.
        """
        body, content_id = encode(claim)
        reply = self._write("/v1/supersede", body, WriteReply)
        self._expect(content_id, reply.hash, "stored")
        return reply

    def add_alias(self, subject: str, alias: str, *, timestamp: int | None = None) -> StatementReply:
        """Say that two subjects mean the same, in both directions."""
        reply = self._write("/v1/alias", AliasIn(subject, alias, _time(timestamp)), StatementReply)
        self._expect(alias_id(subject, alias).hex(), reply.id, "stored alias")
        return reply

    def add_gold_standard(
        self, subject: str, predicate: str, value: Value, *, timestamp: int | None = None
    ) -> StatementReply:
        """Settle a question: agents who spoke about it gain or lose trust, each once."""
        wire, at = value_to_wire(value), _time(timestamp)
        body = GoldStandardIn(subject, predicate, {"type": wire.type, "value": wire.value}, at)
        settled = gold_from_wire(body, at).object
        reply = self._write("/v1/gold-standard", body, StatementReply)
        self._expect(gold_id(subject, predicate, settled).hex(), reply.id, "stored gold standard")
        return reply


def _time(timestamp: int | None) -> int:
    return int(time.time()) if timestamp is None else timestamp


def _timed(source: SourceIn) -> SourceIn:
    return SourceIn(
        source.source_hash,
        source.title,
        source.url,
        source.source_class,
        source.status,
        source.content,
        _time(source.timestamp),
    )
