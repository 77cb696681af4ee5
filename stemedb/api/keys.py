"""API keys: made, listed, revoked. The secret is in one reply and nowhere else."""

from __future__ import annotations

import time

import bottle
import msgspec

from stemedb.api.call import Call, reply
from stemedb.api.inputs import CURSOR, LIMIT, listing, single
from stemedb.api.routes import Route
from stemedb.api.service import Service
from stemedb.engine import KeyChange, KeyRevocation
from stemedb.engine.shapes import KeyIn, KeyMade, KeysReply, key_from_wire, key_made, new_secret
from stemedb.errors import Conflict, Invalid
from stemedb.query import list_keys

_KEY_ID_DIGITS = 16

_key_decoder = msgspec.json.Decoder(KeyIn)


def create_key(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/admin/keys.

    Not while keys are not asked for: whoever came by then would keep a key for the time when they are.
    """
    call.no_parameters()
    engine, secret = service.engine, new_secret()
    record = key_from_wire(call.body(_key_decoder), secret)
    if not service.guards.settings.auth_enabled:
        raise Conflict(
            "keys are not asked for, so none can be made",
            code="auth_off",
            hint="Start with STEMEDB_AUTH_ENABLED=true and STEMEDB_ROOT_API_KEY.",
        )
    with service.turns.waived:
        outcome = engine.submit_one(KeyChange(record), call.caller.key_id)
    service.log.info("key made", key=outcome.id.hex(), role=record.role.name.lower(), by=_by(call))
    answer = reply(key_made(record, outcome.id, secret), 201, seq=outcome.position)
    answer.set_header("Cache-Control", "no-store")
    return answer


def keys(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/admin/keys."""
    page = listing(single(call, "limit", "cursor"))
    return reply(list_keys(service.engine.view, page, time.time()))


def revoke_key(service: Service, call: Call) -> bottle.HTTPResponse:
    """DELETE /v1/admin/keys/{key_id}."""
    call.no_parameters()
    engine, given = service.engine, call.arguments["key_id"]
    if len(given) != _KEY_ID_DIGITS or set(given) - set("0123456789abcdef"):
        raise Invalid(f"a key's id is {_KEY_ID_DIGITS} lower-case hex digits", code="bad_hex")
    with service.turns.waived:
        outcome = engine.submit_one(KeyRevocation(bytes.fromhex(given)), call.caller.key_id)
    service.log.info("key revoked", key=given, by=_by(call))
    return bottle.HTTPResponse("", 204, {"Stemedb-Seq": str(outcome.position)})


def _by(call: Call) -> str:
    key_id = call.caller.key_id
    return key_id.hex() if key_id else ""


ROUTES = (
    Route(
        "POST",
        "/v1/admin/keys",
        create_key,
        "Make an API key; its secret is in this reply and nowhere else.",
        {201: (KeyMade,)},
        body=KeyIn,
        refusals=(409, 411, 413, 415),
    ),
    Route(
        "GET",
        "/v1/admin/keys",
        keys,
        "The API keys by id, revoked ones too, without their secrets.",
        {200: (KeysReply,)},
        parameters=(LIMIT, CURSOR),
    ),
    Route(
        "DELETE",
        "/v1/admin/keys/{key_id}",
        revoke_key,
        "Revoke an API key, at once; the last admin key that lives stays.",
        {204: ()},
        refusals=(404, 409),
        positioned=True,
    ),
)
