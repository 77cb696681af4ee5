"""What a question needs to know around its claims, at its moment: votes, trust, sources, epochs, children.

One `Surroundings` serves one question inside one snapshot; what several claims share is looked up once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import fsum

from stemedb.lens.candidate import NEUTRAL_TRUST, tie_rank
from stemedb.model.claim import ZERO_HASH, Lifecycle, Signature
from stemedb.model.records import SourceStatus
from stemedb.model.replies import VotesOut
from stemedb.model.statements import Supersession
from stemedb.model.trust import TRUST_ONE, drifted
from stemedb.query.moment import US_PER_S, Moment
from stemedb.store import ClaimRow, Snapshot
from stemedb.store.rows import TrustRow

_LEFT_BEHIND = frozenset({Supersession.REPLACES, Supersession.RETRACTS})
_RAISES = frozenset({Lifecycle.UNDER_REVIEW, Lifecycle.APPROVED})
NO_VOTES = VotesOut()


class Surroundings:
    """The state around claims, as one moment sees it."""

    def __init__(self, snapshot: Snapshot, moment: Moment) -> None:
        """Remember nothing yet."""
        self._snapshot = snapshot
        self.moment = moment
        self._sources: dict[bytes, SourceStatus | None] = {}
        self._epochs: dict[bytes, bool] = {}
        self._trust: dict[bytes, float] = {}
        self._trust_seq: int | None = None

    def signatures(self, row: ClaimRow) -> tuple[Signature, ...]:
        """Return the signatures of a claim that are visible."""
        return row.signatures + tuple(
            signature
            for signature, endorsement in self._snapshot.endorsements(row)
            if self.moment.sees(endorsement.seq, signature.timestamp)
        )

    def votes(self, row: ClaimRow) -> VotesOut:
        """Return how many agents' live votes a claim has, and the sum of their weights.

        The live vote of an agent is the one with the greatest (timestamp, seq); weight 0 withdraws.
        """
        live: dict[bytes, tuple[int, int, float]] = {}
        for seq, voted in self._snapshot.votes(row):
            vote = voted.vote
            if self.moment.sees(seq, vote.timestamp):
                standing = live.get(vote.agent_id)
                given = (vote.timestamp, seq, vote.weight)
                live[vote.agent_id] = given if standing is None else max(standing, given)
        weights = [weight for _, _, weight in live.values() if weight]
        return VotesOut(len(weights), fsum(weights)) if weights else NO_VOTES

    def source_status(self, source_hash: bytes) -> SourceStatus | None:
        """Return the status of a source; None where it is not registered."""
        if source_hash == ZERO_HASH:
            return None
        if source_hash not in self._sources:
            states = [
                (state.timestamp, seq, state.status)
                for seq, state in self._snapshot.source_states(source_hash)
                if self.moment.sees(seq, state.timestamp)
            ]
            self._sources[source_hash] = max(states)[2] if states else None
        return self._sources[source_hash]

    def is_superseded(self, epoch_id: bytes | None) -> bool:
        """Say whether an epoch was replaced or retracted."""
        if epoch_id is None:
            return False
        if epoch_id not in self._epochs:
            self._epochs[epoch_id] = any(
                row.supersession in _LEFT_BEHIND and self.moment.sees(seq, row.timestamp)
                for seq, row in self._snapshot.superseded(epoch_id)
            )
        return self._epochs[epoch_id]

    def mean_trust(self, signatures: Sequence[Signature]) -> float:
        """Return the mean trust 0..1 of those who signed; the neutral one for nobody."""
        if not signatures or not self.anybody_judged:
            return NEUTRAL_TRUST
        return fsum([self.trust(signature.agent_id) for signature in signatures]) / len(signatures)

    def trust(self, agent_id: bytes) -> float:
        """Return an agent's trust 0..1: the last judgement visible, drifted to the question's clock."""
        if not self.anybody_judged:
            return NEUTRAL_TRUST
        if agent_id not in self._trust:
            row = self.last_judgement(agent_id)
            if row is None:
                self._trust[agent_id] = NEUTRAL_TRUST
            else:
                elapsed_us = self.moment.clock_s * US_PER_S - row.recorded_at
                self._trust[agent_id] = drifted(row.millionths, elapsed_us) / TRUST_ONE
        return self._trust[agent_id]

    @cached_property
    def anybody_judged(self) -> bool:
        """Whether any agent was ever judged; where not, trust costs nothing."""
        return self._snapshot.has_trust

    def last_judgement(self, agent_id: bytes) -> TrustRow | None:
        """Return an agent's last judgement visible."""
        return self._snapshot.trust(agent_id, self._last_judgement_seq())

    def hidden_by(self, row: ClaimRow, signatures: Sequence[Signature]) -> bytes | None:
        """Return the child that hides a claim (claims.md 4): the newest, then the smaller id; or None."""
        children = [
            child
            for child in self._snapshot.children(row)
            if self.moment.sees(child.seq, child.assertion.timestamp) and self._hides(child, row, signatures)
        ]
        if not children:
            return None
        return min(children, key=lambda child: tie_rank(child.assertion.timestamp, child.id)).id

    def _hides(self, child: ClaimRow, parent: ClaimRow, parent_signatures: Sequence[Signature]) -> bool:
        mine, its = child.assertion, parent.assertion
        if (mine.subject, mine.predicate) != (its.subject, its.predicate) or mine.lifecycle < its.lifecycle:
            return False
        signers = {signature.agent_id for signature in parent_signatures}
        if any(signature.agent_id in signers for signature in self.signatures(child)):
            return True
        if mine.lifecycle == its.lifecycle:
            return False
        return mine.lifecycle in _RAISES or child.by_admin

    def _last_judgement_seq(self) -> int:
        """A judgement's own time is when it was recorded, so `as_of` bounds it too."""
        if self._trust_seq is None:
            self._trust_seq = self.moment.seq
            if self.moment.as_of is not None:
                last_us = (self.moment.as_of + 1) * US_PER_S - 1
                self._trust_seq = min(self._trust_seq, self._snapshot.seq_at(last_us))
        return self._trust_seq
