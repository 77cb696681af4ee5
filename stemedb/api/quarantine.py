"""The quarantine: claims that were held back, listed, approved and rejected by an administrator."""

from __future__ import annotations

import bottle

from stemedb.api.call import Call, reply
from stemedb.api.inputs import CURSOR, LIMIT, fault, identifier, listing, single
from stemedb.api.routes import Parameter, Route
from stemedb.api.service import Service
from stemedb.engine import CREATED, Approval, Rejection
from stemedb.engine.shapes import HELD_STATES, QuarantineReply, WriteReply
from stemedb.query import list_quarantine

_STATE = Parameter(
    "state",
    {"type": "string", "enum": list(HELD_STATES), "default": HELD_STATES[0]},
    "those that nobody has decided about, or those that were rejected",
)


def quarantine(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/admin/quarantine."""
    found = single(call, "state", "limit", "cursor")
    state = found.get("state", HELD_STATES[0])
    if state not in HELD_STATES:
        raise fault("/state", f"must be one of {', '.join(HELD_STATES)}")
    return reply(list_quarantine(service.engine.view, state, listing(found)))


def approve(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/admin/quarantine/{hash}/approve."""
    call.no_parameters()
    key_id = call.caller.key_id or b""
    return _decide(service, call, Approval(identifier(call, "hash"), key_id), "approved")


def reject(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/admin/quarantine/{hash}/reject."""
    call.no_parameters()
    key_id = call.caller.key_id or b""
    return _decide(service, call, Rejection(identifier(call, "hash"), key_id), "rejected")


def _decide(service: Service, call: Call, change: Approval | Rejection, done: str) -> bottle.HTTPResponse:
    with service.turns.waived:
        outcome = service.engine.submit_one(change, call.caller.key_id)
    is_new = outcome.status == CREATED
    status = done if is_new else outcome.status
    service.log.info("quarantine decided", claim=outcome.id.hex(), status=status, by=change.by.hex())
    content = WriteReply(outcome.id.hex(), outcome.seq, status)
    return reply(content, 201 if is_new else 200, seq=outcome.position)


ROUTES = (
    Route(
        "GET",
        "/v1/admin/quarantine",
        quarantine,
        "The claims that were held back, in the order of the log, and why.",
        {200: (QuarantineReply,)},
        parameters=(_STATE, LIMIT, CURSOR),
    ),
    Route(
        "POST",
        "/v1/admin/quarantine/{hash}/approve",
        approve,
        "Release a claim that was held back, or rejected: from here on it is a claim like any other.",
        {201: (WriteReply,), 200: (WriteReply,)},
        refusals=(404, 410),
    ),
    Route(
        "POST",
        "/v1/admin/quarantine/{hash}/reject",
        reject,
        "Keep a claim in quarantine for good; it cannot be sent again.",
        {201: (WriteReply,), 200: (WriteReply,)},
        refusals=(404, 409, 410),
    ),
)
