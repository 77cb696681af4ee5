"""What administrators do and ask: erasing, how the backups stand."""

from __future__ import annotations

from typing import Final

import bottle
import msgspec

from stemedb.api.call import Call, reply
from stemedb.api.routes import Route
from stemedb.api.service import Service
from stemedb.engine import Erasure
from stemedb.engine.shapes import BackupReply, EraseIn, EraseReply, erase_ids

_ACCEPTED: Final = 202

_erase_decoder = msgspec.json.Decoder(EraseIn)


def erase(service: Service, call: Call) -> bottle.HTTPResponse:
    """POST /v1/admin/erase."""
    call.no_parameters()
    engine = service.engine
    wanted = call.body(_erase_decoder)
    erasure = Erasure(erase_ids(wanted), wanted.reason, who(call))
    with service.turns.waived:
        outcome, copies = engine.erase(erasure, now=wanted.now, key_id=call.caller.key_id)
    service.answers.forget()
    content = EraseReply(outcome.status, outcome.seq, copies)
    return reply(content, _ACCEPTED, seq=outcome.position)


def backup(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/admin/backup."""
    call.no_parameters()
    return reply(service.engine.backup_status())


def who(call: Call) -> str:
    """Return who asks, as far as that is known: the key's id, else its own label, else its address."""
    key_id = call.caller.key_id
    return f"key {key_id.hex()}" if key_id else call.label() or call.address


ROUTES = (
    Route(
        "GET",
        "/v1/admin/backup",
        backup,
        "The last backup, how far the archive is, the last verification and drill.",
        {200: (BackupReply,)},
    ),
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
