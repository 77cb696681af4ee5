"""What a statement costs, and whom: decided when its signatures are verified, settled when it is written.

Only signatures that are new prove anything about an agent now: whoever sends again what an agent once signed
pays for it alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from stemedb import limits
from stemedb.errors import StemedbError
from stemedb.guard.admission import ProofBook, difficulty_bits, standing_of
from stemedb.guard.breaker import Breakers
from stemedb.guard.meter import Meter
from stemedb.model.trust import NEUTRAL, Trust, drifted
from stemedb.model.work import Proof

if TYPE_CHECKING:
    from stemedb.store import Snapshot, View

_US_PER_S = 1_000_000
_REFUSED_FROM, _REFUSED_TO = 400, 500
_NOT_THE_AGENTS_FAULT = frozenset({401, 403, 408, 428, 429})


class Statement(NamedTuple):
    """Something that agents signed: its id, who signed, what it costs; only claims need work and breakers."""

    id: bytes
    signers: Sequence[bytes]
    cost: int
    is_claim: bool = True


class Toll(NamedTuple):
    """What was taken for a statement, to be settled: from which agents, each with its quota (tokens)."""

    statement: Statement
    caller: bytes
    agents: tuple[tuple[bytes, float], ...] = ()


class Standings(NamedTuple):
    """How far an agent is trusted now, and how many claims it signed."""

    trust: Trust
    claims_count: int


class TollHouse:
    """Meter, breakers and proofs of work of one service; each may be off."""

    def __init__(self, meter: Meter | None, proofs: ProofBook | None, breakers: Breakers) -> None:
        """Hold what is switched on."""
        self.meter = meter
        self.proofs = proofs
        self.breakers = breakers

    def take(self, statement: Statement, caller: bytes, proof: Proof | None, view: View) -> Toll:
        """Let a statement be written, and take what that costs its agents; `settle` must follow.

        Raises:
            QuotaExceeded: an agent has too few tokens, or its breaker is open.
            ProofRequired: an agent must work first.
        """
        if not (self.meter or self.proofs or self.breakers.any_known):
            return Toll(statement, caller)
        with view.snapshot() as snapshot:
            fresh = _fresh_signers(snapshot, statement)
            quotas = tuple((agent_id, self.quota(snapshot, agent_id)) for agent_id in fresh)
            bits = {agent_id: self.bits(snapshot, agent_id) for agent_id in fresh}
        toll = Toll(statement, caller, quotas)
        if self.meter:
            self.meter.charge_agents(quotas, statement.cost)
        entered: list[bytes] = []
        try:
            for agent_id in fresh if statement.is_claim else ():
                self.breakers.require_closed(agent_id)
                entered.append(agent_id)
            if self.proofs and statement.is_claim:
                for agent_id in fresh:
                    self.proofs.spend_if_needed(agent_id, proof, bits[agent_id], int(time.time()))
        except StemedbError:
            for agent_id in entered:
                self.breakers.release(agent_id)
            if self.meter:
                self.meter.refund_agents(quotas, statement.cost)
            raise
        return toll

    def settle(self, toll: Toll, *, new: bool, held: bool = False) -> None:
        """Note that a statement was written, or (not `new`) was there already.

        A claim that was `held` back speaks neither for its agents nor against them.
        """
        if self.meter and not new:
            self.meter.refund_agents(toll.agents, toll.statement.cost)
            self.meter.refund_caller(toll.caller, max(0, toll.statement.cost - limits.METER_COST_REPLAY))
        if toll.statement.is_claim:
            for agent_id, _ in toll.agents:
                (self.breakers.release if held else self.breakers.note_success)(agent_id)

    def fail(self, toll: Toll, error: StemedbError | None, view: View) -> list[bytes]:
        """Note that a statement was refused; return the agents that this shut out."""
        if self.meter:
            self.meter.refund_agents(toll.agents, toll.statement.cost)
        if not toll.statement.is_claim:
            return []
        if error is None or not is_refused(error):
            for agent_id, _ in toll.agents:
                self.breakers.release(agent_id)
            return []
        agents = [agent_id for agent_id, _ in toll.agents]
        if not agents:  # nothing was asked of anybody when it came in, so nobody was looked up
            with view.snapshot() as snapshot:
                agents = list(_fresh_signers(snapshot, toll.statement))
        return [agent_id for agent_id in agents if self.breakers.note_refusal(agent_id, toll.statement.id)]

    def quota(self, snapshot: Snapshot, agent_id: bytes) -> float:
        """Return an agent's tokens for an hour: its own quota or everybody's, as far as it is trusted.

        0 where there is no meter.
        """
        if self.meter is None:
            return 0.0
        own = snapshot.quota(agent_id)
        return (self.meter.quota if own is None else own.tokens) * self.share(snapshot, agent_id)

    def share(self, snapshot: Snapshot, agent_id: bytes) -> float:
        """Return how many quotas an agent has: one, unless trust counts."""
        if self.proofs is None:
            return 1.0
        return standing_of(standings(snapshot, agent_id).trust).value

    def bits(self, snapshot: Snapshot, agent_id: bytes) -> int:
        """Return how many zero bits an agent's next claim needs; none where no work is asked for."""
        if self.proofs is None:
            return 0
        found = standings(snapshot, agent_id)
        return difficulty_bits(found.trust, found.claims_count)


def standings(snapshot: Snapshot, agent_id: bytes) -> Standings:
    """Return how it stands with an agent now."""
    row = snapshot.trust(agent_id, snapshot.state.applied_seq)
    trust = NEUTRAL
    if row is not None:
        elapsed_us = int(time.time() * _US_PER_S) - row.recorded_at
        trust = Trust(drifted(row.millionths, elapsed_us), row.accurate, row.inaccurate)
    return Standings(trust, snapshot.agent_claims_count(agent_id))


def is_refused(error: StemedbError) -> bool:
    """Say whether a refusal speaks against what was said, not against the moment or the caller."""
    return _REFUSED_FROM <= error.status < _REFUSED_TO and error.status not in _NOT_THE_AGENTS_FAULT


def _fresh_signers(snapshot: Snapshot, statement: Statement) -> tuple[bytes, ...]:
    """Return who signed and had not done so before."""
    if not statement.signers:
        return ()
    if not statement.is_claim:
        return () if snapshot.known_seq(statement.id) is not None else tuple(statement.signers)
    row = snapshot.claim(statement.id)
    found = snapshot.held(statement.id) if row is None else row
    if found is None:
        return tuple(statement.signers)
    known = {signature.agent_id for signature in found.signatures}
    if row is not None:
        known.update(signature.agent_id for signature, _ in snapshot.endorsements(row))
    return tuple(agent_id for agent_id in statement.signers if agent_id not in known)
