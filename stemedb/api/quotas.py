"""Quotas of single agents: set, listed, taken back. They are records of the log, so they last."""

from __future__ import annotations

from typing import Final

import bottle
import msgspec

from stemedb.api.call import Call, reply
from stemedb.api.inputs import CURSOR, LIMIT, identifier, listing, single
from stemedb.api.routes import Route
from stemedb.api.service import Service
from stemedb.engine import EXISTS, Outcome, QuotaChange
from stemedb.engine.shapes import QuotaIn, QuotasReply, StatementReply, quota_agent
from stemedb.query import list_quotas

_quota_decoder: Final = msgspec.json.Decoder(QuotaIn)


def set_quota(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/admin/quotas."""
    call.no_parameters()
    wanted = call.body(_quota_decoder)
    outcome = _submit(service, call, quota_agent(wanted), wanted.tokens)
    shown = StatementReply(outcome.id.hex(), outcome.seq, outcome.status)
    return reply(shown, 200 if outcome.status == EXISTS else 201, seq=outcome.position)


def quotas(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/admin/quotas."""
    return reply(list_quotas(service.engine.view, listing(single(call, "limit", "cursor"))))


def end_quota(service: Service, call: Call) -> bottle.HTTPResponse:
    """DELETE /v1/admin/quotas/{id}."""
    call.no_parameters()
    outcome = _submit(service, call, identifier(call, "id"), None)
    return bottle.HTTPResponse("", 204, {"Stemedb-Seq": str(outcome.position)})


def _submit(service: Service, call: Call, agent_id: bytes, tokens: int | None) -> Outcome:
    key_id = call.caller.key_id
    with service.turns.waived:
        outcome = service.engine.submit_one(QuotaChange(agent_id, tokens, key_id or b""), key_id)
    service.log.info("quota set", agent=agent_id.hex(), tokens=tokens, by=key_id.hex() if key_id else "")
    return outcome


ROUTES = (
    Route(
        "POST",
        "/v1/admin/quotas",
        set_quota,
        "Give one agent a quota of its own, instead of what everybody has.",
        {201: (StatementReply,), 200: (StatementReply,)},
        body=QuotaIn,
        refusals=(411, 413, 415),
    ),
    Route(
        "GET",
        "/v1/admin/quotas",
        quotas,
        "The agents with quotas of their own, by id.",
        {200: (QuotasReply,)},
        parameters=(LIMIT, CURSOR),
    ),
    Route(
        "DELETE",
        "/v1/admin/quotas/{id}",
        end_quota,
        "Give an agent again what everybody has.",
        {204: ()},
        refusals=(404,),
        positioned=True,
    ),
)
