"""Writing and asking in few words, for the tests of questions."""

from __future__ import annotations

from typing import Any

from stemedb.engine import Change, Engine, GoldStandard, VoteChange
from stemedb.errors import StemedbError
from stemedb.model import Signer, Value
from stemedb.model.records import (
    AliasRecord,
    EpochRecord,
    GoldStandardRecord,
    SourceRecord,
    SourceStatus,
    SourceStatusRecord,
    VoteRecord,
)
from stemedb.model.replies import ClaimOut, LensReply, QueryReply
from stemedb.model.statements import Epoch, Supersession, Vote, epoch_id, vote_id
from stemedb.query import Question, ask, parse_question
from tests.builders import NOW_S, SIGNERS

SUBJECT = "Tesla_Inc"
PREDICATE = "has_revenue"


def question(**params: str | list[str]) -> Question:
    given = {"subject": SUBJECT, **params}
    return parse_question({name: [each] if isinstance(each, str) else each for name, each in given.items()})


def page(engine: Engine, now_s: int = NOW_S, **params: str | list[str]) -> QueryReply:
    reply = ask(engine.view, question(**params), now_s).reply
    assert isinstance(reply, QueryReply)
    return reply


def resolve(engine: Engine, lens: str, now_s: int = NOW_S, **params: str) -> LensReply:
    reply = ask(engine.view, question(predicate=PREDICATE, lens=lens, **params), now_s).reply
    assert isinstance(reply, LensReply)
    return reply


def winning(engine: Engine, lens: str) -> ClaimOut:
    found = resolve(engine, lens).winner
    assert found is not None
    return found


def winner(engine: Engine, lens: str, now_s: int = NOW_S, **params: str) -> str | None:
    found = resolve(engine, lens, now_s, **params).winner
    return None if found is None else found.hash


def hashes(reply: QueryReply) -> list[str]:
    return [claim.hash for claim in reply.assertions]


def only(engine: Engine, **params: str) -> ClaimOut:
    (claim,) = page(engine, NOW_S, **params).assertions
    return claim


def put(engine: Engine, *changes: Change) -> list[str]:
    ids = []
    for result in engine.submit(changes):
        if isinstance(result, StemedbError):
            raise result
        ids.append(result.id.hex())
    return ids


def vote(claim: str, weight: float, signer: Signer = SIGNERS[0], at: int = NOW_S) -> VoteChange:
    content = Vote(bytes.fromhex(claim), signer.agent_id, weight, at)
    return VoteChange(VoteRecord(content, signer.sign(vote_id(content), at).signature))


def epoch(name: str, supersedes: str | None = None, **fields: Any) -> EpochRecord:  # noqa: ANN401
    signer: Signer = fields.pop("signer", SIGNERS[0])
    old = None if supersedes is None else bytes.fromhex(supersedes)
    content = Epoch(
        name, old, fields.pop("how", Supersession.REPLACES), fields.pop("at", NOW_S), signer.agent_id
    )
    return EpochRecord(content, signer.sign(epoch_id(content), content.timestamp).signature)


def source(number: int, **fields: Any) -> SourceRecord:  # noqa: ANN401
    defaults: dict[str, Any] = {
        "source_hash": bytes([number]) * 32,
        "title": f"Source {number}",
        "url": None,
        "source_class": None,
        "status": SourceStatus.ACTIVE,
        "content": None,
        "timestamp": NOW_S - 1000,
    }
    return SourceRecord(**(defaults | fields))


def status(number: int, new: SourceStatus, at: int = NOW_S) -> SourceStatusRecord:
    return SourceStatusRecord(bytes([number]) * 32, new, at)


def alias(first: str, second: str, *, at: int = NOW_S) -> AliasRecord:
    one, other = sorted((first, second))
    return AliasRecord(one, other, at)


def gold(
    value: Value, subject: str = SUBJECT, predicate: str = PREDICATE, *, at: int = NOW_S
) -> GoldStandard:
    return GoldStandard(GoldStandardRecord(subject, predicate, value, at))
