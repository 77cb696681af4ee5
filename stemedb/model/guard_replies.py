"""The JSON shapes of what the guards tell (api.md "Guards")."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stemedb import limits
from stemedb.model.fields import Hash
from stemedb.model.wire import Faults

_AGENT_BYTES = 32


class BalanceOut(msgspec.Struct, frozen=True):
    """Tokens: how many there may be, how many are left, and the seconds until all are."""

    limit: int
    remaining: int
    reset_s: int


class QuotaReply(msgspec.Struct, frozen=True):
    """What the meter leaves to the caller, and to an agent; none where there is no meter, or no agent."""

    enabled: bool
    caller: BalanceOut | None
    agent_id: str | None
    agent: BalanceOut | None


class QuotaIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A quota for one agent: tokens for an hour, instead of what everybody has."""

    agent_id: Hash
    tokens: Annotated[int, msgspec.Meta(ge=1, le=limits.METER_QUOTA_MAX)]


class QuotaOut(msgspec.Struct, frozen=True):
    """An agent's own quota; `set_at` in Unix seconds, `by` the id of the API key it came with."""

    agent_id: str
    tokens: int
    seq: int
    set_at: int
    by: str | None


class QuotasReply(msgspec.Struct, frozen=True):
    """A page of the agents with quotas of their own, by agent."""

    quotas: list[QuotaOut]
    next_cursor: str | None


class AdmissionReply(msgspec.Struct, frozen=True):
    """What an agent's next claim needs: zero bits of work (0: none), and its part of the quota."""

    enabled: bool
    agent_id: str
    standing: str
    trust: float
    claims_count: int
    quota_share: float
    difficulty_bits: int
    max_age_s: int


class BreakerOut(msgspec.Struct, frozen=True):
    """An agent's breaker: `closed`, `open`, or `half_open` (one try)."""

    agent_id: str
    state: str


class BreakersReply(msgspec.Struct, frozen=True):
    """The breakers that are not at rest, by agent."""

    circuit_breakers: list[BreakerOut]
    next_cursor: str | None


def quota_agent(wire: QuotaIn) -> bytes:
    """Return the agent that a quota is for; raises `Invalid` where that is no id."""
    faults = Faults()
    agent_id = faults.binary("/agent_id", wire.agent_id, _AGENT_BYTES)
    faults.raise_if_any()
    return agent_id
