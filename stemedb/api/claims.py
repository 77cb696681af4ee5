"""Writing: one claim, what to sign, and one claim by its id."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final

import bottle
import msgspec

from stemedb import limits
from stemedb.api.call import Call, decode, reply, tagged
from stemedb.api.dues import blame, write_claim
from stemedb.api.inputs import WHEN, fault, identifier, refuse_future, single
from stemedb.api.later import Later
from stemedb.api.reading import wait_for_position
from stemedb.api.routes import Route
from stemedb.api.service import Service
from stemedb.engine import CREATED, QUARANTINED, Engine, Outcome, Unverified
from stemedb.engine.shapes import (
    AssertionIn,
    ClaimOut,
    PrepareIn,
    PrepareReply,
    WriteReply,
    assertion_from_wire,
    assertion_id,
    assertion_to_wire,
    canonical_bytes,
    signature_message,
)
from stemedb.errors import StemedbError
from stemedb.guard import Caller
from stemedb.query import WHEN_PARAMETERS, read_when, show_claim

_STATUS_OF: Final = {CREATED: HTTPStatus.CREATED, QUARANTINED: HTTPStatus.ACCEPTED}

assertion_decoder = msgspec.json.Decoder(AssertionIn)
_prepare_decoder = msgspec.json.Decoder(PrepareIn)


def take_json(engine: Engine, data: bytes, caller: Caller) -> Unverified:
    """Return the claim in `data` (JSON), whose signatures stay to be verified.

    Raises:
        Invalid: it cannot be read, or is out of range (400).
        Unprocessable: `hash` is not the content's (422).
    """
    return _take_wire(engine, decode(assertion_decoder, data), caller)


def _take_wire(engine: Engine, wire: AssertionIn, caller: Caller) -> Unverified:
    now_s = int(time.time())
    signed = assertion_from_wire(wire, default_timestamp=now_s if engine.unsigned_allowed else None)
    refuse_future("/timestamp", signed.assertion.timestamp, now_s)
    for index, signature in enumerate(signed.signatures):
        refuse_future(f"/signatures/{index}/timestamp", signature.timestamp, now_s)
    given_id = None if wire.hash is None else bytes.fromhex(wire.hash)
    return engine.take(signed, given_id, by_admin=caller.by_admin_key)


def take_one(service: Service, call: Call, wire: AssertionIn) -> Unverified:
    """Return a decoded claim; what is wrong with it speaks against the agent of a bound key."""
    try:
        return _take_wire(service.engine, wire, call.caller)
    except StemedbError as error:
        blame(service, call.caller, error)
        raise


def assert_claim(service: Service, call: Call) -> Later:
    """POST /v1/assert."""
    call.no_parameters()
    taken = take_one(service, call, call.body(assertion_decoder))
    return write_claim(service, call, taken).then(written)


def written(outcome: Outcome) -> bottle.HTTPResponse:
    """Return what became of a claim."""
    content = WriteReply(outcome.id.hex(), outcome.seq, outcome.status)
    return reply(content, _STATUS_OF.get(outcome.status, HTTPStatus.OK), seq=outcome.position)


def prepare(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/assert/prepare."""
    call.no_parameters()
    service.engine  # noqa: B018  (a starting service answers 503 on every path of /v1)
    wire = call.body(_prepare_decoder)
    if wire.signatures:
        raise fault("/signatures", "must be empty: this path says what to sign")
    now_s = int(time.time())
    signing_s = now_s if wire.signature_timestamp is None else wire.signature_timestamp
    if not 0 <= signing_s <= now_s + limits.TIMESTAMP_AHEAD_S_MAX:
        raise fault("/signature_timestamp", "must be Unix seconds, at most 5 minutes ahead")
    assertion = assertion_from_wire(wire, default_timestamp=now_s).assertion
    refuse_future("/timestamp", assertion.timestamp, now_s)
    canonical = canonical_bytes(assertion)
    claim_id = assertion_id(canonical)
    return reply(
        PrepareReply(
            assertion=assertion_to_wire(assertion),
            hash=claim_id.hex(),
            canonical=canonical.hex(),
            signature_timestamp=signing_s,
            message=signature_message(claim_id, signing_s).hex(),
        )
    )


def claim(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/assertion/{hash}."""
    when = read_when(single(call, *WHEN_PARAMETERS))
    engine = service.engine
    claim_id = identifier(call, "hash")
    wait_for_position(service, call)
    answer = show_claim(engine.view, claim_id, int(time.time()), when)
    return tagged(call, answer.reply, seq=answer.seq)


ROUTES = (
    Route(
        "POST",
        "/v1/assert",
        assert_claim,
        "Assert one signed claim; answered when it is durable and visible.",
        {201: (WriteReply,), 200: (WriteReply,), 202: (WriteReply,)},
        body=AssertionIn,
        refusals=(409, 410, 411, 413, 415, 422),
    ),
    Route(
        "POST",
        "/v1/assert/prepare",
        prepare,
        "Say what to sign, for clients without BLAKE3; nothing is stored.",
        {200: (PrepareReply,)},
        body=PrepareIn,
        refusals=(411, 413, 415),
    ),
    Route(
        "GET",
        "/v1/assertion/{hash}",
        claim,
        "Read one claim by its id.",
        {200: (ClaimOut,), 304: ()},
        parameters=WHEN,
        refusals=(404, 410),
    ),
)
