"""The JSON shapes of what the guards tell (api.md "Guards")."""

from __future__ import annotations

import msgspec


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
