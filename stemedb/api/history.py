"""History that clients can check: the log's signed head, and the hashes of its records."""

from __future__ import annotations

from typing import Final

import bottle

from stemedb import limits
from stemedb.api.call import Call, reply
from stemedb.api.routes import Parameter, Route
from stemedb.api.service import Service
from stemedb.engine.shapes import ProofPage, SignedHead
from stemedb.errors import Invalid

_SEQ_DIGITS_MAX: Final = 18


def log_head(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/log/head."""
    call.no_parameters()
    head = service.engine.signed_head()
    return reply(head, seq=head.seq)


def log_proof(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/log/proof."""
    engine = service.engine
    found = call.parameters()
    for name in found:
        if name not in ("from", "to"):
            raise _fault(name, "is not a parameter of this path")
    first_seq = _seq(found, "from", 1)
    head_seq = engine.log.head().seq
    last_seq = _seq(found, "to", min(head_seq, first_seq + limits.LOG_PROOF_PAGE_MAX - 1))
    return reply(engine.proof_page(first_seq, last_seq), seq=head_seq)


def _seq(found: dict[str, list[str]], name: str, default: int) -> int:
    values = found.get(name)
    if values is None:
        return default
    (text, *more) = values
    if more or not (text.isascii() and text.isdigit() and len(text) <= _SEQ_DIGITS_MAX):
        raise _fault(name, "must be one position in the log")
    return int(text)


def _fault(name: str, detail: str) -> Invalid:
    return Invalid.at(f"/{name}", detail)


_POSITION: Final[dict[str, object]] = {"type": "integer", "minimum": 1}

ROUTES = (
    Route(
        "GET",
        "/v1/log/head",
        log_head,
        "The log's head, signed by the server's key: keep it, and later prove that history did not change.",
        {200: (SignedHead,)},
        positioned=True,
    ),
    Route(
        "GET",
        "/v1/log/proof",
        log_proof,
        "The hashes of a range of records, each read again; at most 10,000.",
        {200: (ProofPage,)},
        positioned=True,
        parameters=(
            Parameter("from", _POSITION, "first position; default 1"),
            Parameter("to", _POSITION, "last position; default as far as one page goes"),
        ),
    ),
)
