"""Writing: one claim, what to sign, and one claim by its id."""

from __future__ import annotations

import time

import bottle
import msgspec

from stemedb import limits
from stemedb.api.call import Call, decode, reply, tagged
from stemedb.api.reading import wait_for_position
from stemedb.api.routes import Route
from stemedb.api.service import Service
from stemedb.engine import Checked, Engine
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
from stemedb.errors import Fault, Invalid
from stemedb.query import show_claim

_assertion_decoder = msgspec.json.Decoder(AssertionIn)
_prepare_decoder = msgspec.json.Decoder(PrepareIn)
_ID_BYTES = 32


def check_json(engine: Engine, data: bytes) -> Checked:
    """Return the claim in `data` (JSON), verified.

    Raises:
        Invalid: it cannot be read, or is out of range (400).
        Unprocessable: `hash` is not the content's, or a signature does not verify (422).
    """
    return _check(engine, decode(_assertion_decoder, data))


def _check(engine: Engine, wire: AssertionIn) -> Checked:
    now_s = int(time.time())
    signed = assertion_from_wire(wire, default_timestamp=now_s if engine.unsigned_allowed else None)
    _refuse_future("/timestamp", signed.assertion.timestamp, now_s)
    for index, signature in enumerate(signed.signatures):
        _refuse_future(f"/signatures/{index}/timestamp", signature.timestamp, now_s)
    return engine.check(signed, None if wire.hash is None else bytes.fromhex(wire.hash))


def _refuse_future(pointer: str, timestamp: int, now_s: int) -> None:
    if timestamp > now_s + limits.TIMESTAMP_AHEAD_S_MAX:
        detail = f"is more than {limits.TIMESTAMP_AHEAD_S_MAX} seconds in the future"
        raise Invalid(f"{pointer}: {detail}", code="validation", faults=(Fault(pointer, detail),))


def assert_claim(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/assert."""
    call.no_parameters()
    engine = service.engine
    outcome = engine.submit_one(_check(engine, call.body(_assertion_decoder)))
    written = WriteReply(outcome.id.hex(), outcome.seq, outcome.status)
    return reply(written, 201 if outcome.status == "created" else 200, seq=outcome.position)


def prepare(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/assert/prepare."""
    call.no_parameters()
    service.engine  # noqa: B018  (a starting service answers 503 on every path of /v1)
    wire = call.body(_prepare_decoder)
    if wire.signatures:
        detail = "must be empty: this path says what to sign"
        raise Invalid(f"/signatures: {detail}", code="validation", faults=(Fault("/signatures", detail),))
    now_s = int(time.time())
    signing_s = now_s if wire.signature_timestamp is None else wire.signature_timestamp
    if not 0 <= signing_s <= now_s + limits.TIMESTAMP_AHEAD_S_MAX:
        detail = "must be Unix seconds, at most 5 minutes ahead"
        raise Invalid(
            f"/signature_timestamp: {detail}",
            code="validation",
            faults=(Fault("/signature_timestamp", detail),),
        )
    assertion = assertion_from_wire(wire, default_timestamp=now_s).assertion
    _refuse_future("/timestamp", assertion.timestamp, now_s)
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
    call.no_parameters()
    engine = service.engine
    given = call.arguments["hash"]
    try:
        claim_id = bytes.fromhex(given) if given == given.lower() else b""
    except ValueError:
        claim_id = b""
    if len(claim_id) != _ID_BYTES or len(given) != 2 * _ID_BYTES:
        raise Invalid(f"an id is {2 * _ID_BYTES} lower-case hex digits", code="bad_hex")
    wait_for_position(service, call)
    answer = show_claim(engine.view, claim_id, int(time.time()))
    return tagged(call, answer.reply, seq=answer.seq)


ROUTES = (
    Route(
        "POST",
        "/v1/assert",
        assert_claim,
        "Assert one signed claim; answered when it is durable and visible.",
        {201: (WriteReply,), 200: (WriteReply,)},
        body=AssertionIn,
        refusals=(411, 413, 415, 422),
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
        refusals=(404,),
    ),
)
