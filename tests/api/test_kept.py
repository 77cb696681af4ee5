"""Answers that are remembered are those that would be given without, whatever was said in between."""

from __future__ import annotations

import logging
import shutil
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stemedb.api.call import Call, content_hash, encode
from stemedb.api.kept import KeptAnswers
from stemedb.api.later import Later
from stemedb.api.reading import ROUTES
from stemedb.api.service import Service
from stemedb.engine import (
    AliasChange,
    Approval,
    Change,
    Checked,
    EngineSettings,
    EpochChange,
    Erasure,
    SourceChange,
    SourceStatusChange,
    open_engine,
)
from stemedb.guard import Guards, GuardSettings
from stemedb.lens import LENSES
from stemedb.model import Lifecycle, Tier
from stemedb.model.records import SourceStatus
from stemedb.model.statements import Supersession, epoch_id
from stemedb.query import replay_audit
from stemedb.telemetry import Telemetry, make_logger
from tests.builders import NOW_S, SIGNERS, checked, number
from tests.engine.test_quarantine import junk
from tests.query.asking import alias, epoch, gold, put, source, status, vote

SUBJECTS = ("aspirin", "ibuprofen")
PREDICATES = ("risk", "must_use")
QUESTIONS = (
    *(("query", f"subject=aspirin&predicate=risk&lens={lens}") for lens in LENSES),
    ("query", "subject=aspirin"),
    ("query", "subject=aspirin&aliases=true"),
    ("query", "subject=aspirin&limit=1"),
    ("query", "subject=ibuprofen&predicate=risk&lifecycle=any"),
    ("skeptic", "subject=aspirin&predicate=risk"),
    ("skeptic", "subject=aspirin&predicate=risk&aliases=true"),
    ("skeptic", "subject=ibuprofen&predicate=risk&decay=false"),
    ("layered", "subject=aspirin&predicate=risk"),
    ("constraints", "subject=aspirin"),
)

KINDS = ("plain", "epoch", "child")
KNOWN_COUNT = sum("aliases" not in query and "limit" not in query for _, query in QUESTIONS)

small = strategies.integers(0, 3)
weights = strategies.sampled_from((-0.5, 0.0, 1.0))
picks = strategies.integers(0, 30)
contents = strategies.fixed_dictionaries(
    {
        "subject": strategies.sampled_from(SUBJECTS),
        "predicate": strategies.sampled_from(PREDICATES),
        "object": small.map(number),
        "source_class": strategies.sampled_from(Tier),
        "lifecycle": strategies.sampled_from((Lifecycle.PROPOSED, Lifecycle.APPROVED, Lifecycle.REJECTED)),
        "timestamp": strategies.integers(NOW_S - 5, NOW_S),
        "source_hash": strategies.sampled_from((bytes(32), b"\1" * 32, b"\2" * 32)),
    }
)


def hash_of(reply: object) -> str:
    """Return a reply's hash, as its ETag has it."""
    return content_hash(encode(reply))


class Machine(RuleBasedStateMachine):
    """Says and asks in turn; every answer is held against the same question answered anew."""

    @initialize()
    def start(self) -> None:
        """Begin with an empty folder and one epoch."""
        self.folder = Path(tempfile.mkdtemp(prefix="stemedb-kept-"))
        self.telemetry = Telemetry()
        folders = (self.folder / "wal", self.folder / "db", self.folder / "keys")
        self.engine = open_engine(EngineSettings(*folders, 1 << 20, 1))
        log = make_logger(logging.CRITICAL, lambda _line: None)
        service = Service(self.telemetry, log, Guards(GuardSettings()), on_corrupt=lambda: None)
        service.serve(self.engine)
        service.answers = KeptAnswers(clock=lambda: NOW_S + 10)
        self.service = service
        self.claims: list[Checked] = []
        self.held: list[Checked] = []
        self.epochs = [epoch("first")]
        self.joined = False
        put(self.engine, EpochChange(self.epochs[0]))
        for value in range(8):
            content: dict[str, Any] = {
                "subject": SUBJECTS[value % 2],
                "predicate": "risk",
                "object": number(value % 3),
            }
            self.claims.append(checked(SIGNERS[value % 4], timestamp=NOW_S - value, **content))
        put(self.engine, *self.claims)

    def say(self, *changes: Change) -> None:
        """Record changes; one that the state refuses changes nothing."""
        self.engine.submit(changes)

    @rule(
        content=contents,
        parent=picks,
        signer=small,
        kind=strategies.sampled_from(KINDS),
    )
    def claim(self, content: dict[str, Any], parent: int, signer: int, kind: str) -> None:
        """Claim something, perhaps in an epoch, perhaps as a revision."""
        if kind == "epoch":
            content = {**content, "epoch": epoch_id(self.epochs[parent % len(self.epochs)].epoch)}
        if kind == "child" and self.claims:
            content = {**content, "parent_hash": self.claims[parent % len(self.claims)].id}
        self.claims.append(checked(SIGNERS[signer], **content))
        self.say(self.claims[-1])

    @rule(pick=picks, signer=small)
    def endorse(self, pick: int, signer: int) -> None:
        """Sign a claim of somebody else."""
        claim = self.claims[pick % len(self.claims)]
        self.say(claim._replace(signatures=(SIGNERS[signer].sign(claim.id, NOW_S),)))

    @rule(pick=picks, signers=strategies.lists(small, min_size=1, max_size=3), weight=weights)
    def support(self, pick: int, signers: list[int], weight: float) -> None:
        """Vote on a claim, some one after the other."""
        claim_id = self.claims[pick % len(self.claims)].id.hex()
        for signer in signers:
            self.say(vote(claim_id, weight, SIGNERS[signer]))
            self.answers_are_those_that_would_be_given_without()

    @rule(pick=picks, how=strategies.sampled_from(Supersession))
    def supersede(self, pick: int, how: Supersession) -> None:
        """Let an epoch take the place of another."""
        old = epoch_id(self.epochs[pick % len(self.epochs)].epoch).hex()
        self.epochs.append(epoch(f"epoch {len(self.epochs)}", old, how=how))
        self.say(EpochChange(self.epochs[-1]))

    @rule(which=strategies.integers(1, 2), new=strategies.sampled_from(SourceStatus))
    def judge_source(self, which: int, new: SourceStatus) -> None:
        """Register a source and change what is thought of it."""
        self.say(SourceChange(source(which)))
        self.say(SourceStatusChange(status(which, new)))

    @rule(value=small, subject=strategies.sampled_from(SUBJECTS))
    def settle(self, value: int, subject: str) -> None:
        """Settle something, which moves trust."""
        self.say(gold(number(value), subject, "risk"))

    @precondition(lambda self: not self.joined)
    @rule()
    def join(self) -> None:
        """Let both subjects be one."""
        self.joined = True
        self.say(AliasChange(alias(*SUBJECTS)))

    @rule(which=picks)
    def hold(self, which: int) -> None:
        """Say what is held back."""
        claim = junk(self.engine, SIGNERS[4], subject="aspirin", predicate="risk", timestamp=NOW_S - which)
        self.held.append(claim)
        self.say(claim)

    @precondition(lambda self: self.held)
    @rule()
    def release(self) -> None:
        """Let what was held back be seen."""
        self.say(Approval(self.held.pop().id))

    @rule(pick=picks)
    def erase(self, pick: int) -> None:
        """Let a claim be gone."""
        self.say(Erasure((self.claims[pick % len(self.claims)].id,), "wanted", "test"))

    @rule()
    def compact(self) -> None:
        """Move the view to another file; answers go on."""
        self.engine.view.compact(lambda _copy: None)

    @invariant()
    def answers_are_those_that_would_be_given_without(self) -> None:
        """Ask everything twice: the second time it is known."""
        asked = []
        for _ in range(2):
            known_before = self.known_count()
            asked += [(query, self.ask(endpoint, query)) for endpoint, query in QUESTIONS]
        assert self.known_count() - known_before >= KNOWN_COUNT
        for query, headers in asked:
            assert int(headers["Stemedb-Seq"]) == self.engine.view.applied_seq, query
            audit_id = bytes.fromhex(headers["Stemedb-Audit-Id"])
            replayed = replay_audit(self.engine.local, self.engine.view, audit_id, hash_of).replayed
            assert replayed is not None
            assert replayed.same, query

    def ask(self, endpoint: str, query: str) -> dict[str, str]:
        """Return the headers of the reply."""
        (route,) = (each for each in ROUTES if each.path == f"/v1/{endpoint}")
        reply = route.handler(self.service, Call({"QUERY_STRING": query}, {}))
        assert not isinstance(reply, Later)
        assert reply.status_code == HTTPStatus.OK
        return dict(reply.headerlist)

    def known_count(self) -> int:
        """Return how many answers were known already."""
        value = self.telemetry.registry.get_sample_value("stemedb_answers_kept_total", {"outcome": "hit"})
        assert value is not None
        return int(value)

    def teardown(self) -> None:
        """Stop."""
        if hasattr(self, "engine"):
            self.engine.close()
            shutil.rmtree(self.folder)


Machine.TestCase.settings = settings(max_examples=25, stateful_step_count=20)
TestKept = Machine.TestCase
