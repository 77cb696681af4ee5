"""An answer at a fixed moment stays the same, whatever is written after it: long form."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stemedb.engine import Checked, Engine, EngineSettings, open_engine
from stemedb.model import Assertion, assertion_id, canonical_bytes
from stemedb.query import Question, ask, ask_layered, ask_skeptic, parse_question
from tests.builders import NOW_S, SIGNERS, assertion, checked, number

LATER_CLAIMS = 1_000_000
BATCH_CLAIMS = 4_000
ASKED = {"subject": ["Tesla_Inc"], "predicate": ["has_revenue"]}


@pytest.mark.slow
def test_the_same_bytes_after_a_million_more_claims_a_restart_and_a_rebuild(tmp_path: Path) -> None:
    settings = EngineSettings(tmp_path / "wal", tmp_path / "db", tmp_path / "keys", 64 << 20, 1)
    engine = open_engine(settings)
    engine.submit([checked(SIGNERS[i % 8], object=number(i % 7), timestamp=NOW_S - i) for i in range(200)])
    moment = {"known_at": [str(engine.log.head().seq)]}
    lenses = ("recency", "confidence", "consensus", "authority", "trust_aware_authority", "epoch_aware")
    questions = [parse_question(ASKED | moment)]
    questions += [parse_question(ASKED | moment | {"lens": [lens]}) for lens in lenses]
    before = answers(engine, questions)
    for first in range(0, LATER_CLAIMS, BATCH_CLAIMS):
        engine.submit([later(index) for index in range(first, first + BATCH_CLAIMS)])
    assert engine.view.claims_count == 200 + LATER_CLAIMS
    assert answers(engine, questions) == before
    engine.close()
    engine = open_engine(settings)
    assert answers(engine, questions) == before
    digest = engine.view.digest()
    engine.close()
    for path in settings.db_dir.glob("*.mdb"):
        path.unlink()
    engine = open_engine(settings)
    assert answers(engine, questions) == before
    assert engine.view.digest() == digest
    engine.close()


def answers(engine: Engine, questions: list[Question]) -> list[bytes]:
    """Return every answer's bytes."""
    now_s = NOW_S + 3600
    replies: list[object] = [ask(engine.view, each, now_s).reply for each in questions]
    replies += [examine(engine.view, questions[0], now_s).reply for examine in (ask_skeptic, ask_layered)]
    return [msgspec.json.encode(reply) for reply in replies]


def later(index: int) -> Checked:
    """Return a claim without signatures: a tenth of them about the same question."""
    content: Assertion = assertion(
        subject="Tesla_Inc" if index % 10 == 0 else f"subject {index // 1000}",
        object=number(-1 - index),
        timestamp=NOW_S - index % 1000,
    )
    canonical = canonical_bytes(content)
    return Checked.of(content, canonical, assertion_id(canonical), ())
