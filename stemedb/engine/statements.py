"""Writing what is said beside claims: votes, epochs, sources and aliases."""

from __future__ import annotations

from typing import NamedTuple

from stemedb.engine.batch import Batch
from stemedb.engine.changes import Settle
from stemedb.errors import Conflict, Forbidden, NotFound, Unprocessable
from stemedb.model.records import (
    AliasRecord,
    EpochRecord,
    SourceRecord,
    SourceStatusRecord,
    VoteRecord,
)
from stemedb.model.signing import signature_message, verify_detached
from stemedb.model.statements import alias_id, epoch_id, vote_id


class VoteChange(NamedTuple):
    """A vote whose signature is right."""

    body: VoteRecord
    solo: bool = False
    size_bytes: int = 256

    def decide(self, batch: Batch) -> Settle:
        """Add the vote; raises `NotFound` for an unknown claim, `Gone` for an erased one."""
        vote = self.body.vote
        if batch.met(vote.assertion_hash) is None:
            raise NotFound(f"there is no claim {vote.assertion_hash.hex()}", code="unknown_claim")
        return batch.create(vote_id(vote), self.body)


class EpochChange(NamedTuple):
    """An epoch whose signature is right; `anyone`: whoever signs may supersede (no auth, or an admin key)."""

    body: EpochRecord
    anyone: bool = True
    solo: bool = True
    size_bytes: int = 0

    def decide(self, batch: Batch) -> Settle:
        """Begin the epoch.

        Raises:
            NotFound: the epoch it supersedes is unknown.
            Forbidden: only a signer of the old epoch or an administrator may supersede it.
        """
        epoch = self.body.epoch
        if epoch.supersedes is not None:
            seq = batch.snapshot.known_seq(epoch.supersedes)
            old = None if seq is None else batch.snapshot.epoch(seq)
            if old is None:
                raise NotFound(f"there is no epoch {epoch.supersedes.hex()}", code="unknown_epoch")
            if not self.anyone and old.epoch.agent_id != epoch.agent_id:
                raise Forbidden("only the old epoch's own agent may supersede it", code="not_your_epoch")
        return batch.create(epoch_id(epoch), self.body)


class SourceChange(NamedTuple):
    """A new source."""

    body: SourceRecord
    solo: bool = True
    size_bytes: int = 0

    def decide(self, batch: Batch) -> Settle:
        """Register the source; the same one again exists, another under the same hash is a `Conflict`."""
        body = self.body
        batch.require_not_erased(body.source_hash)
        row = batch.snapshot.source(body.source_hash)
        if row is None:
            return batch.created(body.source_hash, batch.add_body(body))
        content = batch.snapshot.content(body.source_hash)
        same = (row.title, row.url, row.source_class, content)
        if same != (body.title, body.url, body.source_class, body.content):
            raise Conflict("this hash is registered with other content", code="source_exists")
        return batch.exists(body.source_hash, lambda _: row.seq)


class SourceStatusChange(NamedTuple):
    """A new status for a source."""

    body: SourceStatusRecord
    solo: bool = True
    size_bytes: int = 0

    def decide(self, batch: Batch) -> Settle:
        """Note the status; the present one again exists. Raises `NotFound` for an unknown source."""
        body = self.body
        batch.require_not_erased(body.source_hash)
        states = list(batch.snapshot.source_states(body.source_hash))
        if not states:
            raise NotFound(f"there is no source {body.source_hash.hex()}", code="unknown_source")
        seq, present = max(states, key=lambda state: (state[1].timestamp, state[0]))
        if present.status == body.status:
            return batch.exists(body.source_hash, lambda _: seq)
        return batch.created(body.source_hash, batch.add_body(body))


class AliasChange(NamedTuple):
    """Two subjects to be joined."""

    body: AliasRecord
    solo: bool = False
    size_bytes: int = 600

    def decide(self, batch: Batch) -> Settle:
        """Join them, once."""
        return batch.create(alias_id(self.body.first, self.body.second), self.body)


def check_vote(body: VoteRecord) -> VoteChange:
    """Verify a vote's signature; raises `Unprocessable`."""
    vote = body.vote
    _verify(vote_id(vote), vote.agent_id, vote.timestamp, body.signature)
    return VoteChange(body)


def check_epoch(body: EpochRecord, *, anyone: bool = True) -> EpochChange:
    """Verify an epoch's signature; raises `Unprocessable`."""
    epoch = body.epoch
    _verify(epoch_id(epoch), epoch.agent_id, epoch.timestamp, body.signature)
    return EpochChange(body, anyone=anyone)


def _verify(content_id: bytes, agent_id: bytes, timestamp: int, signature: bytes) -> None:
    if not verify_detached(signature_message(content_id, timestamp), signature, agent_id):
        raise Unprocessable.at(
            "/signature", f"the signature of {agent_id.hex()} does not verify", code="bad_signature"
        )
