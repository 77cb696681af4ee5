"""The service does what its description says: generated requests, good and bad, against a running one."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import schemathesis
from hypothesis import settings

from stemedb.api.app import all_routes
from stemedb.api.openapi import describe
from stemedb.model import Signer, assertion_id, canonical_bytes
from stemedb.model.statements import epoch_id, vote_id
from stemedb.model.statements_wire import EpochIn, VoteIn, epoch_from_wire, vote_from_wire
from stemedb.model.wire import AssertionIn, assertion_from_wire
from tests.e2e.service import ServiceProcess

SIGNER = Signer(b"described".ljust(32))
EXAMPLES = 8  # random ones for each operation, beside those made from the bounds of every field

# The same document that the service sends, so that every operation is a test of its own.
schema = schemathesis.openapi.from_dict(
    json.loads(msgspec.json.encode(describe(all_routes()))),
    config=schemathesis.Config.from_dict(
        # A request may be refused for its size before anybody looks at what it says.
        {
            "checks": {
                "negative_data_rejection": {"expected-statuses": [400, 404, 405, 409, 413, 414, 422, 431]}
            }
        }
    ),
)
BULK = "/v1/assert/bulk"


@schemathesis.serializer("application/x-ndjson")
def one_line(_context: schemathesis.SerializationContext, value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def test_the_service_sends_this_description(shared_server: ServiceProcess) -> None:
    assert shared_server.get("/openapi.json").json() == schema.raw_schema


def test_every_check_is_on() -> None:
    """None is switched off; four have nothing to say here.

    `use_after_free`, `ensure_resource_availability` and `object_level_authorization` look at several requests
    in a row, and nothing of the log can be deleted; `ignored_auth` needs keys, which tests of their own ask
    for on every path.
    """
    schemathesis.checks.load_all_checks()
    operation = schema["/v1/query"]["GET"]
    config = schema.config.checks_config_for(operation=operation, phase=None)
    names = schemathesis.checks.CHECKS.get_all_names()
    assert len(names) >= 13  # the newest release that runs on Python 3.10 has as many
    assert [name for name in names if not config.get_by_name(name=name).enabled] == []


@schema.parametrize()
@settings(max_examples=EXAMPLES)
def test_answers_are_as_described(case: schemathesis.Case[Any], shared_server: ServiceProcess) -> None:
    """Every check is on. What no schema can say is made true first, and in good cases only."""
    if case.path == "/v1/feed" and _is_number((case.query or {}).get("wait")):
        case.query["wait"] = min(float(case.query["wait"]), 0.01)  # there is nothing to wait for
    if case.meta is None or case.meta.generation.mode.is_positive:
        possible_question(case)
        if isinstance(case.body, dict):
            case.body = true_body(case.path, case.body)
    case.call_and_validate(
        base_url=shared_server.url,
        auth=reachable,
        excluded_checks=None if is_refusable(case) else [schemathesis.checks.negative_data_rejection],
    )


def is_refusable(case: schemathesis.Case[Any]) -> bool:
    """Say whether bad data must be refused as a whole.

    Bulk answers line by line, and headers that nobody knows are ignored, as HTTP wants it.
    """
    return case.path != BULK and "x-schemathesis-unknown-property" not in (case.headers or {})


def reachable(request: Any) -> Any:  # noqa: ANN401  (as the HTTP library has it)
    """Let no request wait for a position that never comes: that ends in a 503, as it should."""
    if str(request.headers.get("Stemedb-Min-Seq", "")).isdigit():
        request.headers["Stemedb-Min-Seq"] = "1"
    return request


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def possible_question(case: schemathesis.Case[Any]) -> None:
    """Whether a question can be asked depends on the state, the clock, and on its other parameters."""
    query = case.query
    if not query:
        return
    query.pop("cursor", None)  # only the server makes them
    for name in ("as_of", "known_at", "since", "after"):
        if name in query:
            query[name] = 1  # there is a position 1, and that second is over
    if case.path == "/v1/log/proof":
        query.update({name: 1 for name in ("from", "to") if name in query})
    if case.path in ("/v1/query", "/v1/constraints") and {
        "lens",
        "visual_near",
        "vector_near",
        "since",
    } & set(query):
        query["predicate"] = "must_use"  # these work inside one predicate; one that every lens takes
    if "," in str(query.get("vector_near", "")) or str(query.get("vector_near", "x")).strip("-0.") == "":
        query["vector_near"] = "1,0"  # a vector of zeros has no direction


def true_body(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body with what only its sender can know: the time, signatures, what it refers to."""
    body = {name: _whole(value) for name, value in body.items()}
    for name in body:
        if (name == "expires_at" or "timestamp" in name) and body[name] is not None:
            body[name] = min(body[name], int(time.time()))  # no time may lie ahead
    if path == "/v1/assert/prepare":
        body.pop("signatures", None)  # it says what to sign
    if path in ("/v1/assert", "/v1/supersede", BULK):
        return signed_claim(path, body)
    if path == "/v1/source" and not body["source_hash"].strip("0"):
        body["source_hash"] = "1" * 64  # zeros stand for no source
    if path == "/v1/alias" and body["alias"] == body["subject"]:
        body["alias"] += "'"  # nothing is another name of itself
    if path == "/v1/vote":
        body["agent_id"] = SIGNER.agent_id.hex()
        vote = vote_from_wire(msgspec.convert(body, VoteIn)).vote
        body["signature"] = SIGNER.sign(vote_id(vote), vote.timestamp).signature.hex()
    if path == "/v1/epoch":
        body["agent_id"] = SIGNER.agent_id.hex()
        epoch = epoch_from_wire(msgspec.convert(body, EpochIn)).epoch
        body["signature"] = SIGNER.sign(epoch_id(epoch), epoch.timestamp).signature.hex()
    return body


def signed_claim(path: str, body: dict[str, Any]) -> dict[str, Any]:
    body.pop("hash", None)  # of the content as it was
    body["timestamp"] = body.get("timestamp") or 1  # may be left out only where nothing is signed
    if path == "/v1/supersede" and body.get("parent_hash") is None:
        body["parent_hash"] = "1" * 64
    content = assertion_from_wire(msgspec.convert(body | {"signatures": []}, AssertionIn)).assertion
    signature = SIGNER.sign(assertion_id(canonical_bytes(content)), content.timestamp)
    return body | {
        "signatures": [
            {
                "agent_id": signature.agent_id.hex(),
                "signature": signature.signature.hex(),
                "timestamp": signature.timestamp,
            }
        ]
    }


def _whole(value: Any) -> Any:  # noqa: ANN401
    """Return 1 for 1.0: JSON schema takes both for a whole number, the service does not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
