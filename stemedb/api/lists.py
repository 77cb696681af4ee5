"""Lists, and single things beside claims: sources, epochs, aliases, gold standards, concepts, agents."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import bottle

from stemedb import limits
from stemedb.api.call import Call, tagged
from stemedb.api.inputs import CURSOR, LIMIT, NO_CONTROL, WHEN, fault, identifier, listing, single
from stemedb.api.reading import wait_for_position
from stemedb.api.routes import Parameter, Route
from stemedb.api.service import Service
from stemedb.engine.shapes import (
    AgentReply,
    AliasesReply,
    AliasOut,
    ConceptsReply,
    EpochOut,
    EpochsReply,
    EscalationsReply,
    GoldStandardOut,
    GoldStandardsReply,
    ImpactReply,
    SourceOut,
    SourcesReply,
    TraceReply,
)
from stemedb.errors import QueryTimeout
from stemedb.query import (
    WHEN_PARAMETERS,
    Listing,
    Watched,
    When,
    list_aliases,
    list_concepts,
    list_epochs,
    list_escalations,
    list_gold_standards,
    list_sources,
    read_when,
    show_agent,
    show_alias,
    show_epoch,
    show_gold_standard,
    show_source,
    source_impact,
    with_answers,
)
from stemedb.query import trace as trace_claim


def _answer(service: Service, call: Call, answer: Callable[[Watched], object]) -> bottle.HTTPResponse:
    engine = service.engine
    wait_for_position(service, call)
    view = Watched(engine.view)
    try:
        found = answer(view)
    except QueryTimeout:
        service.telemetry.query_timeouts.inc()
        raise
    return tagged(call, found, seq=view.seq)


def _list(
    service: Service, call: Call, ask: Callable[[Watched, Listing, int, When], object]
) -> bottle.HTTPResponse:
    """Answer with a page of a list, as it stood at the moment asked for."""
    found = single(call, "limit", "cursor", *WHEN_PARAMETERS)
    page, when = listing(found), read_when(found)
    return _answer(service, call, lambda view: ask(view, page, _now_s(), when))


def _one(
    service: Service, call: Call, name: str, show: Callable[[Watched, bytes, int, When], object]
) -> bottle.HTTPResponse:
    """Answer with the thing whose id stands in the path under `name`, as it stood at the moment asked for."""
    when = read_when(single(call, *WHEN_PARAMETERS))
    content_id = identifier(call, name)
    return _answer(service, call, lambda view: show(view, content_id, _now_s(), when))


def _now_s() -> int:
    return int(time.time())


def sources(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/source."""
    return _list(service, call, list_sources)


def source(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/source/{hash}."""
    return _one(service, call, "hash", show_source)


def impact(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/source/{hash}/impact."""
    source_hash = identifier(call, "hash")
    local = service.engine.local
    return _list(
        service,
        call,
        lambda view, page, now_s, when: with_answers(
            local, source_impact(view, source_hash, page, now_s, when)
        ),
    )


def epochs(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/epoch."""
    return _list(service, call, list_epochs)


def epoch(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/epoch/{id}."""
    return _one(service, call, "id", show_epoch)


def aliases(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/alias."""
    return _list(service, call, list_aliases)


def alias(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/alias/{id}."""
    return _one(service, call, "id", show_alias)


def gold_standards(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/gold-standard."""
    return _list(service, call, list_gold_standards)


def gold_standard(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/gold-standard/{id}."""
    return _one(service, call, "id", show_gold_standard)


def agent(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/agent/{id}."""
    return _one(service, call, "id", show_agent)


def concepts(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/concepts."""
    found = single(call, "prefix", "limit", "cursor", *WHEN_PARAMETERS)
    page, when, prefix = listing(found), read_when(found), found.get("prefix", "")
    if len(prefix.encode()) > limits.SUBJECT_BYTES_MAX:
        raise fault("/prefix", f"must be at most {limits.SUBJECT_BYTES_MAX} bytes of UTF-8")
    if not re.fullmatch(NO_CONTROL, prefix):
        raise fault("/prefix", "must not contain NUL or other control characters")
    return _answer(service, call, lambda view: list_concepts(view, prefix, page, _now_s(), when))


def escalations(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/escalations."""
    return _list(service, call, list_escalations)


def trace(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/trace/{hash}."""
    when = read_when(single(call, *WHEN_PARAMETERS))
    claim_id = identifier(call, "hash")
    engine = service.engine
    wait_for_position(service, call)
    answer = trace_claim(engine.view, claim_id, _now_s(), when)
    return tagged(call, answer.reply, seq=answer.seq)


_PAGED = (LIMIT, CURSOR, *WHEN)

ROUTES = (
    Route(
        "GET",
        "/v1/source",
        sources,
        "The sources, by hash, without their content.",
        {200: (SourcesReply,), 304: ()},
        parameters=_PAGED,
    ),
    Route(
        "GET",
        "/v1/source/{hash}",
        source,
        "One source, with its content.",
        {200: (SourceOut,), 304: ()},
        parameters=WHEN,
        refusals=(404, 410),
    ),
    Route(
        "GET",
        "/v1/source/{hash}/impact",
        impact,
        "What hangs on a source: the claims that rest on it.",
        {200: (ImpactReply,), 304: ()},
        parameters=_PAGED,
        refusals=(404, 410),
    ),
    Route(
        "GET",
        "/v1/epoch",
        epochs,
        "The epochs, in the order of the log.",
        {200: (EpochsReply,), 304: ()},
        parameters=_PAGED,
    ),
    Route(
        "GET",
        "/v1/epoch/{id}",
        epoch,
        "One epoch, and what superseded it.",
        {200: (EpochOut,), 304: ()},
        parameters=WHEN,
        refusals=(404,),
    ),
    Route(
        "GET",
        "/v1/alias",
        aliases,
        "The aliases, in the order of the log.",
        {200: (AliasesReply,), 304: ()},
        parameters=_PAGED,
    ),
    Route(
        "GET",
        "/v1/alias/{id}",
        alias,
        "One alias.",
        {200: (AliasOut,), 304: ()},
        parameters=WHEN,
        refusals=(404,),
    ),
    Route(
        "GET",
        "/v1/gold-standard",
        gold_standards,
        "The gold standards, in the order of the log.",
        {200: (GoldStandardsReply,), 304: ()},
        parameters=_PAGED,
    ),
    Route(
        "GET",
        "/v1/gold-standard/{id}",
        gold_standard,
        "One gold standard.",
        {200: (GoldStandardOut,), 304: ()},
        parameters=WHEN,
        refusals=(404,),
    ),
    Route(
        "GET",
        "/v1/agent/{id}",
        agent,
        "An agent's trust, how often it was judged right and wrong, and how many claims it signed by now.",
        {200: (AgentReply,), 304: ()},
        parameters=WHEN,
    ),
    Route(
        "GET",
        "/v1/concepts",
        concepts,
        "The subjects that begin with a prefix, with how much is said about each.",
        {200: (ConceptsReply,), 304: ()},
        parameters=(
            Parameter(
                "prefix",
                {
                    "type": "string",
                    "maxLength": limits.SUBJECT_BYTES_MAX,
                    "pattern": NO_CONTROL,
                    "default": "",
                },
                "what the subjects begin with",
            ),
            *_PAGED,
        ),
        refusals=(504,),
    ),
    Route(
        "GET",
        "/v1/escalations",
        escalations,
        "Crowds of anecdotal claims with nothing authoritative beside them.",
        {200: (EscalationsReply,), 304: ()},
        parameters=_PAGED,
        refusals=(504,),
    ),
    Route(
        "GET",
        "/v1/trace/{hash}",
        trace,
        "Where a claim comes from and what became of it: parents, children, votes, endorsements, source.",
        {200: (TraceReply,), 304: ()},
        parameters=WHEN,
        refusals=(404, 410),
    ),
)
