"""Lists, and single things beside claims: sources, epochs, aliases, gold standards, concepts, agents."""

from __future__ import annotations

import time
from collections.abc import Callable

import bottle

from stemedb import limits
from stemedb.api.call import Call, tagged
from stemedb.api.inputs import CURSOR, LIMIT, WHEN, fault, identifier, listing, single
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
from stemedb.query import (
    WHEN_PARAMETERS,
    Watched,
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


def _show(service: Service, call: Call, answer: Callable[[Watched], object]) -> bottle.HTTPResponse:
    engine = service.engine
    wait_for_position(service, call)
    view = Watched(engine.view)
    found = answer(view)
    return tagged(call, found, seq=view.seq)


def _now_s() -> int:
    return int(time.time())


def sources(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/source."""
    found = single(call, "limit", "cursor", *WHEN_PARAMETERS)
    page, when = listing(found), read_when(found)
    return _show(service, call, lambda view: list_sources(view, page, _now_s(), when))


def source(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/source/{hash}."""
    when = read_when(single(call, *WHEN_PARAMETERS))
    source_hash = identifier(call, "hash")
    return _show(service, call, lambda view: show_source(view, source_hash, _now_s(), when))


def impact(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/source/{hash}/impact."""
    found = single(call, "limit", "cursor", *WHEN_PARAMETERS)
    page, when = listing(found), read_when(found)
    source_hash = identifier(call, "hash")
    local = service.engine.local
    return _show(
        service,
        call,
        lambda view: with_answers(local, source_impact(view, source_hash, page, _now_s(), when)),
    )


def epochs(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/epoch."""
    page = listing(single(call, "limit", "cursor"))
    return _show(service, call, lambda view: list_epochs(view, page))


def epoch(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/epoch/{id}."""
    call.no_parameters()
    epoch_id = identifier(call, "id")
    return _show(service, call, lambda view: show_epoch(view, epoch_id))


def aliases(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/alias."""
    page = listing(single(call, "limit", "cursor"))
    return _show(service, call, lambda view: list_aliases(view, page))


def alias(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/alias/{id}."""
    call.no_parameters()
    alias_id = identifier(call, "id")
    return _show(service, call, lambda view: show_alias(view, alias_id))


def gold_standards(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/gold-standard."""
    page = listing(single(call, "limit", "cursor"))
    return _show(service, call, lambda view: list_gold_standards(view, page))


def gold_standard(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/gold-standard/{id}."""
    call.no_parameters()
    gold_id = identifier(call, "id")
    return _show(service, call, lambda view: show_gold_standard(view, gold_id))


def agent(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/agent/{id}."""
    when = read_when(single(call, *WHEN_PARAMETERS))
    agent_id = identifier(call, "id")
    return _show(service, call, lambda view: show_agent(view, agent_id, _now_s(), when))


def concepts(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/concepts."""
    found = single(call, "prefix", "limit", "cursor")
    page, prefix = listing(found), found.get("prefix", "")
    if len(prefix.encode()) > limits.SUBJECT_BYTES_MAX:
        raise fault("/prefix", f"must be at most {limits.SUBJECT_BYTES_MAX} bytes of UTF-8")
    return _show(service, call, lambda view: list_concepts(view, prefix, page))


def escalations(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/escalations."""
    page = listing(single(call, "limit", "cursor"))
    return _show(service, call, lambda view: list_escalations(view, page))


def trace(service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /v1/trace/{hash}."""
    when = read_when(single(call, *WHEN_PARAMETERS))
    claim_id = identifier(call, "hash")
    engine = service.engine
    wait_for_position(service, call)
    answer = trace_claim(engine.view, claim_id, _now_s(), when)
    return tagged(call, answer.reply, seq=answer.seq)


_PAGED = (LIMIT, CURSOR)

ROUTES = (
    Route(
        "GET",
        "/v1/source",
        sources,
        "The sources, by hash, without their content.",
        {200: (SourcesReply,), 304: ()},
        parameters=(*_PAGED, *WHEN),
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
        parameters=(*_PAGED, *WHEN),
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
    Route("GET", "/v1/alias/{id}", alias, "One alias.", {200: (AliasOut,), 304: ()}, refusals=(404,)),
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
                {"type": "string", "maxLength": limits.SUBJECT_BYTES_MAX, "default": ""},
                "what the subjects begin with",
            ),
            *_PAGED,
        ),
    ),
    Route(
        "GET",
        "/v1/escalations",
        escalations,
        "Crowds of anecdotal claims with nothing authoritative beside them.",
        {200: (EscalationsReply,), 304: ()},
        parameters=_PAGED,
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
