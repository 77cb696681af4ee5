"""Finding the claims of a question: one walk a subject, newest first, bounded in claims and in time."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator

from stemedb import limits
from stemedb.errors import QueryTimeout, Unprocessable
from stemedb.query.claims import SeenClaim, passing, see, see_all
from stemedb.query.enrich import Surroundings
from stemedb.query.moment import Moment
from stemedb.query.question import Question
from stemedb.store import ClaimRow, Snapshot
from stemedb.store.keys import question_prefix

_LOOK_AT_CLOCK_EVERY = 1024


class Deadline:
    """Ends a question that runs too long."""

    def __init__(self, timeout_s: float = limits.QUERY_TIMEOUT_S) -> None:
        """Start now."""
        self._timeout_s = timeout_s
        self._ends_at = time.monotonic() + timeout_s
        self.looked = 0

    def look(self, claims: int = 1) -> None:
        """Count claims looked at; raise `QueryTimeout` when the time is over."""
        before = self.looked
        self.looked += claims
        steps = self.looked // _LOOK_AT_CLOCK_EVERY - before // _LOOK_AT_CLOCK_EVERY
        if steps and time.monotonic() > self._ends_at:
            raise QueryTimeout(f"the question took more than {self._timeout_s} s")


class Search:
    """The claims of one question at one moment."""

    def __init__(self, snapshot: Snapshot, question: Question, moment: Moment) -> None:
        """Get ready; nothing is read yet but the aliases of the subject, where they are wanted."""
        self.question = question
        self.moment = moment
        self.around = Surroundings(snapshot, moment)
        self.deadline = Deadline()
        self._snapshot = snapshot
        self._subjects = joined_subjects(snapshot, question.subject, moment) if question.aliases else None

    def matching(self, after: bytes | None = None) -> Iterator[tuple[bytes, SeenClaim]]:
        """Yield the claims that pass, in reply order, each with its place, from behind the place `after`.

        The place is the claim's key behind the subject, so that it orders claims of several subjects.
        """
        passes = passing(self.question)
        return ((place, seen) for place, seen in self._visible(after) if passes(seen))

    def _visible(self, after: bytes | None = None) -> Iterator[tuple[bytes, SeenClaim]]:
        look = self.deadline.look
        for place, row in self._walk(after):
            look()
            seen = see(row, self.moment, self.around, decay=self.question.decay)
            if seen is not None:
                yield place, seen

    def candidates(self) -> list[SeenClaim]:
        """Return the claims that a lens weighs: all that pass, but those whose source was retracted.

        Raises `Unprocessable` where more than 100,000 claims are visible. What came after the question's
        moment does not count: an answer of the past must not become a refusal.
        """
        return [seen for seen in self.all_matching() if not seen.retracted]

    def all_matching(self) -> list[SeenClaim]:
        """Return every claim that passes; raises as `candidates` does."""
        found: list[SeenClaim] = []
        moment, around, decay = self.moment, self.around, self.question.decay
        passes, visible = passing(self.question), 0
        for rows in self._lists():
            self.deadline.look(len(rows))
            seen = see_all(rows, moment, around, decay=decay)
            visible += len(seen)
            if visible > limits.CANDIDATES_MAX:
                raise Unprocessable(
                    f"more than {limits.CANDIDATES_MAX} claims bear on this question",
                    code="too_many_candidates",
                    hint="Ask about a narrower subject, or page through the claims without a lens.",
                )
            found += filter(passes, seen)
        return found

    def _lists(self) -> Iterator[list[ClaimRow]]:
        """Yield all claims, without their places."""
        if self._subjects is not None:
            return ([row] for _, row in self._walk(None))
        return self._snapshot.claims(self.question.subject, self.question.predicate)

    def _walk(self, after: bytes | None) -> Iterator[tuple[bytes, ClaimRow]]:
        if self._subjects is None:
            return self._walk_one(self.question.subject, after)
        return heapq.merge(
            *(self._walk_one(subject, after) for subject in self._subjects), key=lambda found: found[0]
        )

    def _walk_one(self, subject: str, after: bytes | None) -> Iterator[tuple[bytes, ClaimRow]]:
        prefix = question_prefix(subject, None)
        after_key = None if after is None else prefix + after
        for key, row in self._snapshot.walk(subject, self.question.predicate, after_key):
            yield key[len(prefix) :], row


def joined_subjects(snapshot: Snapshot, subject: str, moment: Moment) -> list[str]:
    """Return `subject` and all that aliases join to it, in byte order.

    Raises `Unprocessable` where they are more than `ALIASES_MAX`.
    """
    found = {subject}
    waiting = [subject]
    while waiting:
        for alias in snapshot.aliases(waiting.pop()):
            if alias.other not in found and moment.sees(alias.seq, alias.timestamp):
                found.add(alias.other)
                waiting.append(alias.other)
        if len(found) > limits.ALIASES_MAX:
            raise Unprocessable(
                f"more than {limits.ALIASES_MAX} subjects are joined to this one", code="too_many_aliases"
            )
    return sorted(found, key=str.encode)
