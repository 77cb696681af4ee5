"""The feed: every accepted record in order, for whoever keeps a copy or waits for news."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import bottle

from stemedb import limits
from stemedb.api.call import Call, tagged
from stemedb.api.inputs import LIMIT, fault, single, whole_number
from stemedb.api.reading import wait_for_position
from stemedb.api.routes import Parameter, Route
from stemedb.api.service import Service, State
from stemedb.engine import read_feed
from stemedb.engine.shapes import FeedReply
from stemedb.errors import Invalid

if TYPE_CHECKING:
    from stemedb.engine import Engine

_SEQ_MAX: Final = 10**18 - 1
_POSITION: Final[dict[str, object]] = {"type": "integer", "minimum": 0, "maximum": _SEQ_MAX, "default": 0}


def feed(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/feed.

    Shows what the view holds, not what the log holds already: whoever learns of a claim here can read it.
    """
    found = single(call, "after", "limit", "wait")
    after_seq = whole_number(found, "after", 0, 0, _SEQ_MAX)
    limit = whole_number(found, "limit", limits.PAGE_ITEMS_DEFAULT, 1, limits.PAGE_ITEMS_MAX)
    wait_s = _wait_s(found.get("wait"))
    engine = service.engine
    wait_for_position(service, call)
    if after_seq > engine.view.applied_seq:
        raise Invalid.at(
            "/after",
            f"the log ends at seq {engine.view.applied_seq}",
            code="past_head",
            hint="A position that was there and is not any more: the data was restored; read it anew.",
        )
    _wait_for_news(service, engine, after_seq, wait_s)
    head_seq = engine.view.applied_seq
    shown = FeedReply([], after_seq)
    if head_seq > after_seq:
        shown = read_feed(engine.log, after_seq, min(limit, head_seq - after_seq))
    return tagged(call, shown, seq=head_seq)


def _wait_s(text: str | None) -> float:
    """Return the parameter `wait` in seconds; raises `Invalid`."""
    try:
        wait_s = float(text or "0") if text != "" else -1.0
    except ValueError:
        wait_s = -1.0
    if not 0.0 <= wait_s <= limits.FEED_WAIT_S_MAX:
        raise fault("/wait", f"must be seconds from 0 to {limits.FEED_WAIT_S_MAX:.0f}")
    return wait_s


def _wait_for_news(service: Service, engine: Engine, after_seq: int, wait_s: float) -> None:
    """Wait until there is a record behind `after_seq`; not at all where too many wait already.

    A service that drains lets nobody wait on: it would be cut.
    """
    if not wait_s or engine.view.applied_seq > after_seq or not service.waiting.acquire(blocking=False):
        return
    try:
        with service.turns.waived:
            deadline = time.monotonic() + wait_s
            while service.state is State.SERVING and (left_s := deadline - time.monotonic()) > 0:
                if engine.view.wait_for(after_seq + 1, min(left_s, limits.FEED_LOOK_S)):
                    return
    finally:
        service.waiting.release()


ROUTES = (
    Route(
        "GET",
        "/v1/feed",
        feed,
        "The log's records in order, without gaps; `next` is what to ask for as `after`.",
        {200: (FeedReply,), 304: ()},
        parameters=(
            Parameter("after", _POSITION, "the position behind which to begin"),
            LIMIT,
            Parameter(
                "wait",
                {"type": "number", "minimum": 0, "maximum": limits.FEED_WAIT_S_MAX, "default": 0},
                "seconds to wait where there is nothing yet",
            ),
        ),
    ),
)
