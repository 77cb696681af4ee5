"""What can be written, and the records of one group commit.

Changes are decided by the writer, against the state they are about to extend, so that two requests racing
with the same thing become one record and one `exists`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from stemedb.engine.changes import CREATED, EXISTS, Outcome, Settle
from stemedb.errors import Gone
from stemedb.log import Draft
from stemedb.model import Assertion
from stemedb.model.records import Body, encode_body, type_of
from stemedb.model.sketch import anchors
from stemedb.store import GoldRow, ReadClaim, Snapshot


class Change(Protocol):
    """Something to be written, checked as far as that is possible without the state."""

    @property
    def solo(self) -> bool:
        """Whether it wants a batch of its own: it looks at more of the state than its own id."""

    @property
    def size_bytes(self) -> int:
        """About how much it adds to a batch."""

    def decide(self, batch: Batch) -> Settle:
        """Add its records to the batch, or none; runs in the writer, in log order.

        Raises a `StemedbError` when the state does not allow it; nothing may have been added then.
        """


class MetClaim:
    """A claim that a change of this batch met: in the view (`seq`) or earlier in the batch (`draft`)."""

    __slots__ = ("draft", "seq", "signers")

    def __init__(self, seq: int | None, draft: int, signers: set[bytes]) -> None:
        """Note where it is, and who signed it so far."""
        self.seq = seq
        self.draft = draft
        self.signers = signers

    def position(self, first_seq: int) -> int:
        """Return the claim's seq, once the batch's first seq is known."""
        return first_seq + self.draft if self.seq is None else self.seq


class MetHeld:
    """A claim in quarantine that a change of this batch met; `seq` and `draft` as in `MetClaim`."""

    __slots__ = ("draft", "rejected", "seq", "signers")

    def __init__(self, seq: int | None, draft: int, signers: set[bytes], *, rejected: bool) -> None:
        """Note where its first record is, who signed it so far, and whether it was rejected."""
        self.seq = seq
        self.draft = draft
        self.signers = signers
        self.rejected = rejected

    def position(self, first_seq: int) -> int:
        """Return the seq of its first record, once the batch's first seq is known."""
        return first_seq + self.draft if self.seq is None else self.seq


class Batch:
    """Collects the records of one group commit."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Start from the state that the batch will extend."""
        self.snapshot = snapshot
        self.applied_seq = snapshot.state.applied_seq
        # Most views hold nothing of these kinds: one look a batch instead of one a claim.
        self._any_gold, self._any_held, self._any_erased = snapshot.kinds_there()
        self.drafts: list[Draft] = []
        self.read: dict[int, ReadClaim] = {}
        """Claims by their place among the drafts: what the fold would read from these again."""
        self.claims: dict[bytes, MetClaim] = {}
        self.judged: set[bytes] = set()
        self._known: dict[bytes, int] = {}
        self._held: dict[bytes, MetHeld] = {}
        self._waiting: Counter[bytes | None] = Counter()
        self._texts: dict[bytes, tuple[Assertion, bytes]] = {}
        self._texts_at: dict[bytes, list[bytes]] = {}

    def add(self, draft: Draft) -> int:
        """Take a record; return its place in the batch."""
        self.drafts.append(draft)
        return len(self.drafts) - 1

    def add_body(self, body: Body) -> int:
        """Take a record by its body; return its place in the batch."""
        return self.add(Draft(type_of(body), encode_body(body)))

    def create(self, content_id: bytes, body: Body) -> Settle:
        """Take the record of a thing with an id of its own, unless the thing is known already."""
        seq = self.snapshot.known_seq(content_id)
        if seq is not None:
            return self.exists(content_id, lambda _: seq)
        place = self._known.get(content_id)
        if place is not None:
            return self.exists(content_id, lambda first_seq: first_seq + place)
        self._known[content_id] = index = self.add_body(body)
        return self.created(content_id, index)

    def created(self, content_id: bytes, index: int) -> Settle:
        """Settle a change whose record has this place in the batch."""
        return lambda first_seq: Outcome(content_id, first_seq + index, CREATED, first_seq + index)

    def exists(self, content_id: bytes, seq_of: Callable[[int], int], status: str = EXISTS) -> Settle:
        """Settle a change that was there already; `seq_of` gives its seq from the batch's first one.

        What makes it exist may stand earlier in this very batch: a reader must not look before that.
        """
        drafts_before = len(self.drafts)

        def settle(first_seq: int) -> Outcome:
            position = first_seq + drafts_before - 1 if drafts_before else self.applied_seq
            return Outcome(content_id, seq_of(first_seq), status, position)

        return settle

    def met(self, claim_id: bytes) -> MetClaim | None:
        """Return the claim with this id, of the view or of this batch; raises `Gone` for an erased one."""
        claim = self.claims.get(claim_id)
        if claim is None:
            claim = self._find(claim_id)
            if claim is not None:
                self.claims[claim_id] = claim
        return claim

    # -- the quarantine, and texts: of the view and of this batch --

    def held(self, claim_id: bytes) -> MetHeld | None:
        """Return the claim with this id if it is in quarantine."""
        met = self._held.get(claim_id)
        if met is None and self._any_held and (row := self.snapshot.held(claim_id)) is not None:
            signers = {signature.agent_id for signature in row.signatures}
            met = self._held[claim_id] = MetHeld(row.seqs[0], 0, signers, rejected=row.rejected)
        return met

    def note_held(self, claim_id: bytes, met: MetHeld, signers: set[bytes]) -> None:
        """Note that a claim waits now, with these signers more."""
        self._waiting.update(signers)
        self._waiting[None] += claim_id not in self._held
        met.signers.update(signers)
        self._held[claim_id] = met

    def waiting_count(self, agent_id: bytes | None) -> int:
        """Return how many claims of an agent, or at all, wait in quarantine."""
        return self.snapshot.waiting_count(agent_id) + self._waiting[agent_id]

    def note_text(self, claim_id: bytes, assertion: Assertion, sketch: bytes, signers: set[bytes]) -> None:
        """Note the text of a new claim, so that the next ones can be compared with it."""
        self._texts[claim_id] = (assertion, sketch)
        for agent_id in signers:
            for anchor in anchors(sketch):
                self._texts_at.setdefault(agent_id + anchor, []).append(claim_id)

    def texts_at(self, agent_id: bytes, anchor: bytes) -> Iterator[bytes]:
        """Yield an agent's claims whose texts' sketches have this hash among the first, the newest first."""
        yield from reversed(self._texts_at.get(agent_id + anchor, ()))
        yield from self.snapshot.texts_at(agent_id, anchor)

    def text(self, claim_id: bytes) -> Assertion | None:
        """Return the claim with this id."""
        if (noted := self._texts.get(claim_id)) is not None:
            return noted[0]
        row = self.snapshot.claim(claim_id)
        return None if row is None else row.assertion

    def sketch(self, claim_id: bytes) -> bytes:
        """Return the sketch of a claim's text, empty where there is none."""
        noted = self._texts.get(claim_id)
        return self.snapshot.sketch(claim_id) if noted is None else noted[1]

    def gold(self, subject: str, predicate: str) -> GoldRow | None:
        """Return the gold standard that stands for a subject and predicate; a new one has its own batch."""
        return self.snapshot.gold(subject, predicate) if self._any_gold else None

    def require_not_erased(self, content_id: bytes) -> None:
        """Raise `Gone` for an id that was erased."""
        seq = self.snapshot.erased_at(content_id) if self._any_erased else None
        if seq is not None:
            raise Gone(f"{content_id.hex()} was erased at seq {seq}")

    def _find(self, claim_id: bytes) -> MetClaim | None:
        row = self.snapshot.claim(claim_id)
        if row is None:
            self.require_not_erased(claim_id)
            return None
        signers = {signature.agent_id for signature in row.signatures}
        signers.update(signature.agent_id for signature, _ in self.snapshot.endorsements(row))
        return MetClaim(row.seq, 0, signers)
