"""Erasing from the view: what is left is what the redacted log folds to, whatever happened before."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stemedb.log import Draft, MemoryLog
from stemedb.model import Tier
from stemedb.model.quarantine import Doubt, Scores
from stemedb.model.records import (
    AliasRecord,
    Body,
    EndorsementRecord,
    EpochRecord,
    ErasureRecord,
    GoldStandardRecord,
    JudgementRecord,
    QuarantineRecord,
    RecordType,
    RejectionRecord,
    ReleaseRecord,
    SourceRecord,
    SourceStatus,
    SourceStatusRecord,
    VoteRecord,
    encode_assertion,
    encode_body,
    type_of,
)
from stemedb.model.statements import Epoch, Supersession, Vote, gold_id
from stemedb.store import View
from tests.builders import NOW_S, SIGNERS, checked, number

CLAIMS, SOURCES = 8, 3
SERVER_KEY = bytes(32)


def claim(index: int) -> Any:  # noqa: ANN401 - what `checked` returns
    """Return claim `index`: some are children of others, some rest on a source, two share a question."""
    return checked(
        *SIGNERS[: 1 + index % 3],
        subject=f"subject {index // 4}",
        object=number(index),
        source_class=Tier.ANECDOTAL if index % 3 else Tier.CLINICAL,
        parent_hash=claim(index - 3).id if index >= 3 else None,
        source_hash=source_hash(index % 4) if index % 4 < SOURCES else bytes(32),
    )


def source_hash(index: int) -> bytes:
    return bytes([200 + index]) * 32


GOLD = gold_id("subject 0", "has_revenue", number(1))
EPOCH = Epoch("an epoch", None, Supersession.REPLACES, NOW_S, SIGNERS[0].agent_id)

indexes = st.integers(0, CLAIMS - 1)
signers = st.integers(0, 5)
steps = st.one_of(
    st.tuples(st.just("claim"), indexes),
    st.tuples(st.just("claim"), indexes),
    st.tuples(st.just("endorse"), indexes, signers),
    st.tuples(st.just("hold"), indexes, signers),
    st.tuples(st.sampled_from(("release", "reject")), indexes),
    st.tuples(st.just("vote"), indexes, signers, st.sampled_from((-1.0, 0.5, 1.0))),
    st.tuples(st.just("source"), st.integers(0, SOURCES - 1)),
    st.tuples(st.just("status"), st.integers(0, SOURCES - 1), st.sampled_from(SourceStatus)),
    st.tuples(st.just("judge"), indexes, signers),
    st.tuples(st.sampled_from(("gold", "alias", "epoch"))),
    st.tuples(st.just("erase"), st.lists(st.integers(0, CLAIMS + SOURCES - 1), min_size=1, max_size=4)),
)


def body_of(step: tuple[Any, ...]) -> Body:  # noqa: PLR0911 - one line a kind
    """Return the record of a step other than a claim or an erasure."""
    match step:
        case ("endorse", index, signer):
            return EndorsementRecord(claim(index).id, checked(SIGNERS[signer]).signatures)
        case ("vote", index, signer, weight):
            return VoteRecord(Vote(claim(index).id, SIGNERS[signer].agent_id, weight, NOW_S), bytes(64))
        case ("source", index):
            title = f"source {index}"
            return SourceRecord(source_hash(index), title, None, None, SourceStatus.ACTIVE, "text", NOW_S)
        case ("status", index, status):
            return SourceStatusRecord(source_hash(index), status, NOW_S)
        case ("judge", index, signer):
            return JudgementRecord(GOLD, SIGNERS[signer].agent_id, claim(index).id, index % 2 == 0)
        case ("gold",):
            return GoldStandardRecord("subject 0", "has_revenue", number(1), NOW_S)
        case ("reject", index):
            return RejectionRecord(claim(index).id, b"")
        case ("alias",):
            return AliasRecord("subject 0", "subject 1", NOW_S)
        case _:
            return EpochRecord(EPOCH, bytes(64))


def erasure(view: View, indexes: list[int]) -> ErasureRecord | None:
    """Return the erasure of those that are there, as the engine would write it."""
    found: dict[bytes, tuple[int, ...]] = {}
    with view.snapshot() as snapshot:
        for index in indexes:
            content_id = claim(index).id if index < CLAIMS else source_hash(index - CLAIMS)
            row = snapshot.claim(content_id) or snapshot.source(content_id)
            if row is not None:
                found[content_id] = (row.seq, *snapshot.once_held(content_id))
            elif (held := snapshot.held(content_id)) is not None:
                found[content_id] = held.seqs
    seqs = tuple(chain.from_iterable(found.values()))
    return ErasureRecord(tuple(found), seqs, "a wish", "admin") if found else None


def claim_draft(view: View, kind: str, index: int, signer: int = 0) -> Draft | None:
    """Return the record of a claim that comes, is held back or is released, as the engine would write it."""
    one, agent = claim(index), SIGNERS[signer]
    with view.snapshot() as snapshot:
        if snapshot.erased_at(one.id):
            return None
        held, visible = snapshot.held(one.id), snapshot.claim(one.id)
    sketch = bytes([index]) * 16 if index % 2 else b""
    body: Body
    if kind == "hold":
        known = {each.agent_id for each in held.signatures} if held else set()
        if visible or agent.agent_id in known:
            return None
        doubts, scores = (Doubt.NEAR_DUPLICATE,), Scores(0.5, 1.0, 1.0, 1.0, 0.5)
        signed = (agent.sign(one.id, NOW_S),)
        body = QuarantineRecord(one.assertion, signed, one.by_admin, sketch, doubts, scores)
    elif kind == "release":
        if held is None:
            return None
        body = ReleaseRecord(held.assertion, held.signatures, held.by_admin, held.sketch, b"")
    else:
        return Draft(RecordType.ASSERTION, encode_assertion(one.canonical, one.signatures, sketch=sketch))
    return Draft(type_of(body), encode_body(body))


def play(log: MemoryLog, view: View, history: list[tuple[Any, ...]]) -> list[int]:
    """Write a history as the engine would, folding each record; return the seqs that were erased."""
    gone: list[int] = []
    for step in history:
        if step[0] in ("claim", "hold", "release"):
            drafted = claim_draft(view, *step)
            if drafted is None:
                continue
            draft = drafted
        elif step[0] == "erase":
            body = erasure(view, step[1])
            if body is None:
                continue
            gone.extend(body.seqs)
            draft = Draft(type_of(body), encode_body(body))
        else:
            if step[0] == "source":
                with view.snapshot() as snapshot:
                    if snapshot.erased_at(source_hash(step[1])):
                        continue
            draft = Draft(type_of(body_of(step)), encode_body(body_of(step)))
        position = log.append([draft])
        view.fold(log.log_id, log.read(position.first_seq, 1))
    return gone


@contextmanager
def new_view() -> Iterator[View]:
    folder = tempfile.mkdtemp()
    try:
        with closing(View(Path(folder))) as view:
            yield view
    finally:
        shutil.rmtree(folder)


ALL_ABOUT_ONE = [
    *(("claim", index) for index in (0, 3, 1, 4)),
    *(("endorse", index, 5) for index in (0, 3)),
    *(("vote", index, 2, 0.5) for index in (0, 3)),
    ("erase", [3]),
    ("erase", [0, 1]),
]


@settings(max_examples=60)
@example(history=ALL_ABOUT_ONE)
@given(history=st.lists(steps, max_size=40))
def test_the_redacted_log_folds_to_the_same_state(history: list[tuple[Any, ...]]) -> None:
    log = MemoryLog(server_key=SERVER_KEY)
    # A crowd is small here, so that erasures make and unmake escalations.
    with mock.patch("stemedb.store.fold_tables.CROWD_CLAIMS", 2), new_view() as lived, new_view() as rebuilt:
        lived.fold(log.log_id, log.read(1, 1))
        gone = play(log, lived, history)
        digest, count = lived.digest(), lived.claims_count
        log.erase(gone)
        rebuilt.fold(log.log_id, log.read(1, 1000))
        assert rebuilt.digest() == digest
        assert rebuilt.claims_count == count
        assert sorted(seq for seqs in rebuilt.to_overwrite().values() for seq in seqs) == sorted(gone)
        lived.compact(lambda _copy: None)
        assert lived.digest() == digest
