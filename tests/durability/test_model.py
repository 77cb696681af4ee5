"""The engine against a model of fifty lines: random writes, restarts, kills, rotations and deleted views."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stemedb.engine import CREATED, ENDORSED, EXISTS, FAULT_POINTS, Checked, Engine, Outcome, open_engine
from stemedb.engine.statements import VoteChange
from stemedb.log import LocalLog
from stemedb.model.records import VoteRecord
from stemedb.model.statements import Vote, vote_id
from tests.builders import NOW_S, SIGNERS, checked, number, text
from tests.durability.ledger import assert_log_holds
from tests.durability.small import small_settings

SEGMENT_BYTES = 16 * 1024
POINTS = ("after_reserve", "half_frame", "before_sync", "after_sync", *FAULT_POINTS)
DURABLE_FROM = POINTS.index("after_sync")

numbers = strategies.integers(0, 30)
signers = strategies.sets(strategies.integers(0, 3), min_size=1)
writes = strategies.lists(strategies.tuples(numbers, signers), min_size=1, max_size=5)


class Model:
    """What must be true: which claims there are, where, signed by whom; which votes; how long the log is."""

    def __init__(self) -> None:
        """Begin with the genesis."""
        self.head = 1
        self.claims: dict[int, tuple[int, set[int]]] = {}
        self.votes: dict[bytes, int] = {}

    def copy(self) -> Model:
        """Return the same again."""
        other = Model()
        other.head, other.votes = self.head, dict(self.votes)
        other.claims = {at: (seq, set(who)) for at, (seq, who) in self.claims.items()}
        return other

    def write(self, number: int, who: set[int]) -> tuple[str, int, int]:
        """Return what must become of a claim: status, its seq, the position of the change."""
        if number not in self.claims:
            self.head += 1
            self.claims[number] = (self.head, set(who))
            return CREATED, self.head, self.head
        seq, signed = self.claims[number]
        if who <= signed:
            return EXISTS, seq, self.head
        self.head += 1
        signed |= who
        return ENDORSED, seq, self.head

    def vote(self, vote: Vote) -> tuple[str, int]:
        """Return what must become of a vote: status and seq."""
        key = vote_id(vote)
        if key in self.votes:
            return EXISTS, self.votes[key]
        self.head += 1
        self.votes[key] = self.head
        return CREATED, self.head


class Image:
    """Copies the data folder at a step of the write path: what a kill at that step leaves behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.point = ""
        self.taken: Path | None = None

    def at(self, point: str) -> None:
        """Copy once, when the awaited step is reached."""
        if point == self.point and self.taken is None:
            self.taken = Path(tempfile.mkdtemp(prefix="image-", dir=self._folder.parent)) / "data"
            shutil.copytree(self._folder, self.taken)


class Machine(RuleBasedStateMachine):
    """Does the same to engine and model."""

    @initialize()
    def start(self) -> None:
        """Begin with an empty folder."""
        self.root = Path(tempfile.mkdtemp(prefix="stemedb-model-"))
        self.folder = self.root / "first"
        self.model = Model()
        self.open()

    def open(self) -> None:
        """Open the engine on the present folder."""
        self.image = Image(self.folder)
        given = small_settings(self.folder)._replace(segment_bytes=SEGMENT_BYTES)
        self.engine: Engine = open_engine(given, faults=self.image)

    @rule(changes=writes)
    def write(self, changes: list[tuple[int, set[int]]]) -> None:
        """Assert new claims, old ones, and further signatures, in one go."""
        outcomes = self.engine.submit([self.claim(*change) for change in changes])
        expected = [self.model.write(*change) for change in changes]
        # A claim that exists by this very batch is told the position up to which it was decided.
        for outcome, (status, seq, position) in zip(outcomes, expected, strict=True):
            assert isinstance(outcome, Outcome)
            assert (outcome.status, outcome.seq, outcome.position) == (status, seq, position)

    @precondition(lambda self: self.model.claims)
    @rule(pick=numbers, agent=strategies.integers(0, 3), weight=strategies.sampled_from([-1.0, 0.0, 0.5]))
    def vote(self, pick: int, agent: int, weight: float) -> None:
        """Vote on some claim."""
        at = sorted(self.model.claims)[pick % len(self.model.claims)]
        vote = Vote(self.claim(at, {0}).id, SIGNERS[agent].agent_id, weight, NOW_S)
        (outcome,) = self.engine.submit([VoteChange(VoteRecord(vote, bytes(64)))])
        assert isinstance(outcome, Outcome)
        assert (outcome.status, outcome.seq) == self.model.vote(vote)

    @rule(change=strategies.tuples(numbers, signers), point=strategies.sampled_from(POINTS))
    def die(self, change: tuple[int, set[int]], point: str) -> None:
        """Be killed at a step of a write; start again on what was left."""
        before = self.model.copy()
        self.image.point = point
        self.write([change])
        self.image.point = ""
        self.engine.close()
        if self.image.taken is not None:
            self.folder = self.image.taken
            self.open()
            after, self.model = self.model, before
            # Killed before the sync, a record may be there or not: nobody was told.
            if self.engine.log.head().seq == after.head:
                self.model = after
            else:
                assert POINTS.index(point) < DURABLE_FROM
        else:
            self.open()  # it existed: nothing was written, so no step was reached

    @rule()
    def restart(self) -> None:
        """Stop and start again."""
        self.engine.close()
        self.open()

    @rule()
    def delete_view(self) -> None:
        """Start without the view: it comes back the same."""
        digest = self.engine.view.digest()
        self.engine.close()
        shutil.rmtree(self.folder / "db")
        self.open()
        assert self.engine.view.digest() == digest

    @rule()
    def rotate(self) -> None:
        """Write so much that the log goes on in a new segment."""
        log = self.engine.log
        assert isinstance(log, LocalLog)
        segments = log.usage().segments
        while log.usage().segments == segments:
            self.engine.submit([checked(object=text(f"{self.model.head} " * 1500))])
            self.model.head += 1

    @staticmethod
    def claim(at: int, who: set[int]) -> Checked:
        """Return claim number `at`, signed by some agents."""
        return checked(*(SIGNERS[each] for each in sorted(who)), object=number(at))

    @invariant()
    def same(self) -> None:
        """Compare what can be read with the model."""
        if not hasattr(self, "engine"):
            return
        assert self.engine.log.head().seq == self.model.head == self.engine.view.applied_seq
        with self.engine.view.snapshot() as snapshot:
            for at, (seq, who) in self.model.claims.items():
                row = snapshot.claim(self.claim(at, who).id)
                assert row is not None
                found = {each.agent_id for each in row.signatures}
                found |= {each.agent_id for each, _ in snapshot.endorsements(row)}
                assert (row.seq, found) == (seq, {SIGNERS[each].agent_id for each in who})

    def teardown(self) -> None:
        """Check the log as a whole, once at the end."""
        if hasattr(self, "engine"):
            self.engine.close()
            assert assert_log_holds(self.folder / "wal", {}) == self.model.head
            shutil.rmtree(self.root)


Machine.TestCase.settings = settings(max_examples=12, stateful_step_count=20)
TestEngineLikeModel = Machine.TestCase
