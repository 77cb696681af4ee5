"""Audits: what was asked and answered, and the same question answered again at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from stemedb import limits
from stemedb.errors import NotFound
from stemedb.model.audit import AuditOut, AuditsReply, ReplayedOut
from stemedb.model.replies import (
    ConstraintsReply,
    ContributionOut,
    ImpactReply,
    LayeredReply,
    LensReply,
    QueryReply,
    SkepticReply,
)
from stemedb.query.answers import Answer, ask, ask_constraints, ask_layered, ask_skeptic
from stemedb.query.claims import rounded
from stemedb.query.cursor import encode_place
from stemedb.query.paging import Listing
from stemedb.query.question import PARAMETERS, SKEPTIC_PARAMETERS, parse_question
from stemedb.store import View
from stemedb.store.local import AuditRow, LocalStore

Parameters = Mapping[str, Sequence[str]]
HashOf = Callable[[object], str]
"""Gives the hash of a reply, as its ETag has it."""

_US_PER_S = 1_000_000

_ENDPOINTS: Mapping[str, tuple[frozenset[str], Callable[..., Answer[Any]]]] = {
    "query": (PARAMETERS, ask),
    "skeptic": (SKEPTIC_PARAMETERS, ask_skeptic),
    "layered": (SKEPTIC_PARAMETERS, ask_layered),
    "constraints": (SKEPTIC_PARAMETERS, ask_constraints),
}


class AuditFilter(NamedTuple):
    """Which audits a list holds: of whom, and from when to when (Unix seconds, both included)."""

    agent: str | None
    from_s: int
    to_s: int


def audit_of(endpoint: str, parameters: Parameters, answer: Answer[object], result_hash: str) -> AuditRow:
    """Return the audit of an answer, without when and by whom it was asked for: see `asked_by`."""
    found = _contributing(answer.reply)
    shown = found[: limits.CONTRIBUTING_ITEMS_MAX]
    return AuditRow(
        at_us=0,
        agent="",
        endpoint=endpoint,
        parameters=tuple((name, tuple(values)) for name, values in parameters.items()),
        seq=answer.seq,
        clock_s=answer.clock_s,
        result_hash=result_hash,
        contributing=tuple((bytes.fromhex(claim_hash), weight) for claim_hash, weight in shown),
        contributing_count=len(found),
        # A page shows claims and rests on none of them; looked up by claim are answers that do.
        indexed=not isinstance(answer.reply, QueryReply),
    )


def asked_by(agent: str, audit: AuditRow, seq: int, first: bytes = b"") -> AuditRow:
    """Return the audit of an answer that is given now, as of `seq`, to who called itself `agent`.

    `first` is the id of the audit of when the same answer was given first, if it was given before.
    """
    return AuditRow(
        time.time_ns() // 1000,
        agent,
        audit.endpoint,
        audit.parameters,
        seq,
        audit.clock_s,
        audit.result_hash,
        audit.contributing,
        audit.contributing_count,
        audit.indexed,
        first,
    )


def list_audits(local: LocalStore, wanted: AuditFilter, listing: Listing) -> AuditsReply:
    """List audits, the newest first; raises `Invalid` for a cursor of another list."""
    name = f"audits:{wanted.agent}:{wanted.from_s}:{wanted.to_s}"
    bounds = (wanted.from_s * _US_PER_S, wanted.to_s * _US_PER_S + _US_PER_S - 1)
    found = local.audits(wanted.agent, *bounds, listing.limit + 1, listing.place(name))
    page = found[: listing.limit]
    cursor = encode_place(name, page[-1][0]) if len(found) > len(page) else None
    return AuditsReply([_show(*each) for each in page], cursor)


def with_answers(local: LocalStore, impact: ImpactReply) -> ImpactReply:
    """Return what hangs on a source together with the audited answers that rested on its claims."""
    claim_ids = (bytes.fromhex(claim.hash) for claim in impact.claims)
    newest = local.audits_of(claim_ids, limits.CONTRIBUTING_ITEMS_MAX)
    return msgspec.structs.replace(impact, answers=[audit_id.hex() for audit_id in newest])


def show_audit(local: LocalStore, audit_id: bytes) -> AuditOut:
    """Return one audit; raises `NotFound`."""
    return _show(audit_id, _require(local, audit_id))


def replay_audit(local: LocalStore, view: View, audit_id: bytes, hash_of: HashOf) -> AuditOut:
    """Return one audit with its question answered again, at the moment of then.

    Raises:
        NotFound: there is no such audit (any more).
        Invalid, Unprocessable, QueryTimeout: the question cannot be answered now.
    """
    row = _require(local, audit_id)
    allowed, answer = _ENDPOINTS[row.endpoint]
    question = parse_question(dict(row.parameters), allowed=allowed)
    if question.cursor is None:
        question = msgspec.structs.replace(question, at=(row.seq, row.clock_s))
    result_hash = hash_of(answer(view, question, int(time.time())).reply)
    replayed = ReplayedOut(result_hash, result_hash == row.result_hash)
    return msgspec.structs.replace(_show(audit_id, row), replayed=replayed)


def _require(local: LocalStore, audit_id: bytes) -> AuditRow:
    row = local.audit(audit_id)
    if row is None:
        raise NotFound(
            f"there is no audit {audit_id.hex()}",
            code="unknown_audit",
            hint=f"Audits are kept {limits.AUDIT_KEPT_S // 86_400} days at most.",
        )
    return row


def _show(audit_id: bytes, row: AuditRow) -> AuditOut:
    return AuditOut(
        id=audit_id.hex(),
        time=row.at_us,
        agent_id=row.agent or None,
        endpoint=f"/v1/{row.endpoint}",
        parameters={name: list(values) for name, values in row.parameters},
        seq=row.seq,
        clock=row.clock_s,
        result_hash=row.result_hash,
        contributing=[ContributionOut(claim_id.hex(), weight) for claim_id, weight in row.contributing],
        contributing_count=row.contributing_count,
    )


def _contributing(reply: object) -> list[tuple[str, float]]:
    """Return the claims that an answer rests on, each with its weight."""
    if isinstance(reply, LensReply):
        return [(each.hash, each.weight) for each in reply.contributing]
    if isinstance(reply, QueryReply):
        return [(each.hash, 1.0) for each in reply.assertions]
    if isinstance(reply, SkepticReply):
        return [(each.newest.hash, rounded(each.share)) for each in reply.claims]
    if isinstance(reply, LayeredReply):
        return [(each.winner.hash, 1.0) for each in reply.tiers]
    if isinstance(reply, ConstraintsReply):
        return [(each.claim.hash, 1.0) for each in reply.constraints]
    return []
