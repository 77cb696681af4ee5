"""Deciding a batch in log order: what is new, what is there already, what only adds a signature.

The decision is made by the writer, against the state it is about to extend, so that two requests racing
with the same claim become one record and one `exists`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stemedb.engine.changes import CREATED, ENDORSED, EXISTS, Checked, Outcome
from stemedb.log import Draft
from stemedb.model import Signature
from stemedb.model.records import RecordType, encode_assertion, encode_endorsement
from stemedb.store import Snapshot

Settle = Callable[[int], Outcome]
"""Given the batch's first seq, the outcome of one change."""


class _Claim(NamedTuple):
    """A claim that a change of this batch met: in the view (`seq`) or earlier in the batch (`draft`)."""

    seq: int | None
    draft: int | None
    signers: set[bytes]

    def position(self, first_seq: int) -> int:
        """Return the claim's seq, once the batch's first seq is known."""
        return self.seq if self.seq is not None else first_seq + (self.draft or 0)


class Batch:
    """Collects the records of one group commit."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Start from the state that the batch will extend."""
        self._snapshot = snapshot
        self._applied_seq = snapshot.state.applied_seq
        self._met: dict[bytes, _Claim] = {}
        self.drafts: list[Draft] = []

    def add(self, change: Checked) -> Settle:
        """Decide one change; return how to tell its outcome once the batch has its place in the log."""
        claim = self._met.get(change.id) or self._find(change.id)
        if claim is None:
            return self._create(change)
        self._met[change.id] = claim
        fresh = tuple(each for each in change.signatures if each.agent_id not in claim.signers)
        if fresh:
            return self._endorse(change, claim, fresh)

        # What makes it exist may stand earlier in this very batch: a reader must not look before that.
        drafts_before = len(self.drafts)

        def exists(first_seq: int) -> Outcome:
            position = first_seq + drafts_before - 1 if drafts_before else self._applied_seq
            return Outcome(change.id, claim.position(first_seq), EXISTS, position)

        return exists

    def _find(self, claim_id: bytes) -> _Claim | None:
        found = self._snapshot.claim(claim_id)
        if found is None:
            return None
        signers = {signature.agent_id for signature in found.signatures}
        signers.update(signature.agent_id for signature, _ in self._snapshot.endorsements(found))
        return _Claim(found.seq, None, signers)

    def _create(self, change: Checked) -> Settle:
        index = self._append(RecordType.ASSERTION, encode_assertion(change.canonical, change.signatures))
        self._met[change.id] = _Claim(None, index, {each.agent_id for each in change.signatures})
        return lambda first_seq: Outcome(change.id, first_seq + index, CREATED, first_seq + index)

    def _endorse(self, change: Checked, claim: _Claim, fresh: tuple[Signature, ...]) -> Settle:
        index = self._append(RecordType.ENDORSEMENT, encode_endorsement(change.id, fresh))
        claim.signers.update(each.agent_id for each in fresh)
        return lambda first_seq: Outcome(change.id, claim.position(first_seq), ENDORSED, first_seq + index)

    def _append(self, kind: RecordType, body: bytes) -> int:
        self.drafts.append(Draft(kind, body))
        return len(self.drafts) - 1
