"""Audits of questions: who asked what, what the answer rested on, and the same answer once more."""

from __future__ import annotations

import re
from typing import Final

import bottle

from stemedb import limits
from stemedb.api.call import Call, content_hash, reply
from stemedb.api.inputs import CURSOR, LIMIT, fault, identifier, listing, single
from stemedb.api.routes import Parameter, Route
from stemedb.api.service import Service
from stemedb.engine.shapes import AuditOut, AuditsReply
from stemedb.query import AuditFilter, list_audits, read_time_s, replay_audit, show_audit

_TIME: Final[dict[str, object]] = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": limits.AUDIT_TIME_S_MAX},
        {"type": "string", "format": "date-time"},
    ]
}
_LABEL: Final = f"[ -~]{{1,{limits.AGENT_LABEL_CHARS_MAX}}}"


def audits(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/audit/queries."""
    found = single(call, "agent_id", "from", "to", "limit", "cursor")
    agent = found.get("agent_id")
    if agent is not None and not re.fullmatch(_LABEL, agent):
        detail = f"must be 1 to {limits.AGENT_LABEL_CHARS_MAX} printable characters of ASCII"
        raise fault("/agent_id", detail)
    from_s = _time_s(found, "from", 0)
    wanted = AuditFilter(agent, from_s, _time_s(found, "to", limits.AUDIT_TIME_S_MAX))
    return reply(list_audits(service.engine.local, wanted, listing(found)))


def audit(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/audit/query/{id}."""
    found = single(call, "replay")
    replay = found.get("replay", "false")
    if replay not in ("true", "false"):
        raise fault("/replay", "must be one of true, false")
    audit_id = identifier(call, "id")
    engine = service.engine
    if replay == "false":
        return reply(show_audit(engine.local, audit_id))
    return reply(
        replay_audit(engine.local, engine.view, audit_id, lambda again: content_hash(reply(again).body))
    )


def _time_s(found: dict[str, str], name: str, default: int) -> int:
    text = found.get(name)
    if text is None:
        return default
    found_s = read_time_s(f"/{name}", text)
    if found_s > limits.AUDIT_TIME_S_MAX:
        raise fault(f"/{name}", f"must be at most {limits.AUDIT_TIME_S_MAX}")
    return found_s


ROUTES = (
    Route(
        "GET",
        "/v1/audit/queries",
        audits,
        "List the questions that were asked, the newest first.",
        {200: (AuditsReply,)},
        parameters=(
            Parameter(
                "agent_id",
                {"type": "string", "pattern": f"^{_LABEL}$"},
                "only those of this agent, as it named itself",
            ),
            Parameter("from", _TIME, "asked then or later: Unix seconds or RFC 3339"),
            Parameter("to", _TIME, "asked then or before: Unix seconds or RFC 3339"),
            LIMIT,
            CURSOR,
        ),
    ),
    Route(
        "GET",
        "/v1/audit/query/{id}",
        audit,
        "Show one question with what its answer rested on; replayed, whether it is still answered so.",
        {200: (AuditOut,)},
        parameters=(
            Parameter("replay", {"type": "boolean", "default": False}, "answer it again, at its moment"),
        ),
        refusals=(404, 410, 422, 504),
    ),
)
