"""What administrators do: erasing."""

from __future__ import annotations

from typing import Final

import bottle
import msgspec

from stemedb.api.call import Call, reply
from stemedb.api.routes import Route
from stemedb.api.service import Service
from stemedb.engine import Erasure
from stemedb.engine.shapes import EraseIn, EraseReply, erase_ids

_ACCEPTED: Final = 202

_erase_decoder = msgspec.json.Decoder(EraseIn)


def erase(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/admin/erase."""
    call.no_parameters()
    engine = service.engine
    wanted = call.body(_erase_decoder)
    outcome, copies = engine.erase(
        Erasure(erase_ids(wanted.hashes), wanted.reason, call.label() or call.address), now=wanted.now
    )
    content = EraseReply(outcome.status, outcome.seq, copies)
    return reply(content, _ACCEPTED, seq=outcome.position)


ROUTES = (
    Route(
        "POST",
        "/v1/admin/erase",
        erase,
        "Erase claims and sources for good; the answer lists every copy and by when it is gone.",
        {202: (EraseReply,)},
        body=EraseIn,
        refusals=(404, 411, 413, 415),
        positioned=True,
    ),
)
