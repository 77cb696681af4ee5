"""Trust: agents held against gold standards (claims.md 3).

Each agent is judged once for each gold standard, by its newest claim there: when the standard is set, or,
for an agent that had said nothing yet, by its first claim after that. A judgement is a record of its own,
written in the batch of what caused it, so that nothing in the background ever writes.
"""

from __future__ import annotations

from typing import NamedTuple

from stemedb import limits
from stemedb.engine.batch import Batch
from stemedb.engine.changes import Settle
from stemedb.errors import Unprocessable
from stemedb.model import Assertion, Value
from stemedb.model.records import GoldStandardRecord, JudgementRecord
from stemedb.model.statements import gold_id
from stemedb.store import ClaimRow


class GoldStandard(NamedTuple):
    """Something an administrator holds to be settled; its newest claims are judged with it."""

    body: GoldStandardRecord

    @property
    def solo(self) -> bool:
        """It looks at every claim of its question."""
        return True

    @property
    def size_bytes(self) -> int:
        """It has a batch of its own."""
        return 0

    def decide(self, batch: Batch) -> Settle:
        """Set the standard and judge every agent with a claim there.

        Raises `Unprocessable` where more than 100,000 claims would have to be looked at.
        """
        body = self.body
        content_id = gold_id(body.subject, body.predicate, body.object)
        settle = batch.create(content_id, body)
        if batch.drafts:
            for agent_id, row in _newest_by_agent(batch, body).items():
                accurate = same_value(row.assertion.object, body.object)
                batch.add_body(JudgementRecord(content_id, agent_id, row.id, accurate))
        return settle


def judge_claim(batch: Batch, assertion: Assertion, claim_id: bytes, agents: set[bytes]) -> None:
    """Judge the signers of a new claim by the standing gold standard, those it has not judged yet."""
    gold = batch.gold(assertion.subject, assertion.predicate)
    if gold is None:
        return
    for agent_id in sorted(agents):
        key = gold.id + agent_id
        if key not in batch.judged and not batch.snapshot.is_judged(gold.id, agent_id):
            batch.judged.add(key)
            accurate = same_value(assertion.object, gold.object)
            batch.add_body(JudgementRecord(gold.id, agent_id, claim_id, accurate))


def same_value(one: Value, other: Value) -> bool:
    """Say whether two values are equal: kind and value, numbers as numbers, text bytewise."""
    return one.kind == other.kind and one.value == other.value


def _newest_by_agent(batch: Batch, gold: GoldStandardRecord) -> dict[bytes, ClaimRow]:
    newest: dict[bytes, ClaimRow] = {}
    for looked, (_, row) in enumerate(batch.snapshot.walk(gold.subject, gold.predicate), start=1):
        if looked > limits.CANDIDATES_MAX:
            raise Unprocessable(
                f"more than {limits.CANDIDATES_MAX} claims are about this", code="too_many_candidates"
            )
        signers = [signature.agent_id for signature in row.signatures]
        signers += [signature.agent_id for signature, _ in batch.snapshot.endorsements(row)]
        for agent_id in signers:
            newest.setdefault(agent_id, row)
        if len(newest) >= limits.BATCH_CHANGES_MAX:
            raise Unprocessable("too many agents speak about this", code="too_many_candidates")
    return dict(sorted(newest.items()))
