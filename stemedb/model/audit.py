"""Audits of questions as replies show them (claims.md 3)."""

from __future__ import annotations

import msgspec

from stemedb.model.replies import ContributionOut


class ReplayedOut(msgspec.Struct, frozen=True):
    """The question answered again, at the moment of then: `same` unless something was erased since."""

    result_hash: str
    same: bool


class AuditOut(msgspec.Struct, frozen=True):
    """One question and what it was answered with. `time` in microseconds, `clock` in Unix seconds.

    `result_hash` is the reply's ETag. `seq` and `clock` are the moment it was answered by. `contributing` are
    the first of `contributing_count` claims with their weights: the lens's, or the value's share for a
    quarrel, or 1 where nothing was weighed.
    """

    id: str
    time: int
    agent_id: str | None
    endpoint: str
    parameters: dict[str, list[str]]
    seq: int
    clock: int
    result_hash: str
    contributing: list[ContributionOut]
    contributing_count: int
    replayed: ReplayedOut | None = None


class AuditsReply(msgspec.Struct, frozen=True):
    """A page of audits, the newest first."""

    queries: list[AuditOut]
    next_cursor: str | None
