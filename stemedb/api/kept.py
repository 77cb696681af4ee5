"""Answers of now: who asks the same again, while nothing has changed, gets the same bytes.

What an answer says depends on the question, on what had been said, and on the clock, from which ages are
counted. For questions about the present that clock goes on in steps of a few seconds, while the shortest
half-life is a month. So an answer is remembered until the step is over, in bounded space, and used while the
view says that nothing it rests on has changed (`View.unchanged`). What was said is never stale: an answer
says at which position it holds, and its audit by which clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from stemedb import limits
from stemedb.engine.shapes import QueryReply
from stemedb.query import AuditRow, Counts, Question, is_of_now

Key = tuple[str, str]
"""The endpoint and the query string, as they came."""


class KeptAnswer(NamedTuple):
    """An answer as it goes out: its body with its hash, as of `seq`, and what there is to note about it.

    `audit_id` is that of its first audit; none where that was lost.
    """

    question: Question
    seq: int
    body: bytes
    body_hash: str
    audit: AuditRow
    counts: Counts
    audit_id: bytes = b""


class KeptAnswers:
    """The answers of one step of the clock. Safe to use from many threads."""

    def __init__(
        self, bytes_max: int = limits.ANSWERS_KEPT_BYTES_MAX, clock: Callable[[], float] = time.time
    ) -> None:
        """Start empty; `clock` gives Unix seconds."""
        self._clock = clock
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._now: tuple[int, dict[Key, KeptAnswer]] = (0, {})
        self._bytes = 0

    def clock_s(self) -> int:
        """Return the time (Unix seconds) from which answers of now count ages: whole steps."""
        now_s = int(self._clock())
        return now_s - now_s % limits.ANSWER_CLOCK_STEP_S

    def find(self, key: Key) -> KeptAnswer | None:
        """Return what was answered by the clock of now, if that is remembered."""
        step_s, answers = self._now
        return answers.get(key) if step_s == self.clock_s() else None

    def keep(self, key: Key, answer: KeptAnswer, reply: object) -> None:
        """Remember an answer whose reply was `reply`, if there is room and it is one of the present."""
        if not is_of_now(answer.question) or (isinstance(reply, QueryReply) and reply.next_cursor):
            return  # a cursor holds the position that it was made at
        clock_s = answer.audit.clock_s
        with self._lock:
            step_s, answers = self._now
            if clock_s > step_s:
                answers, self._bytes = {}, 0
                self._now = (clock_s, answers)
            elif clock_s < step_s:
                return
            # One that is there already has been overtaken by a change.
            size = _size_bytes(key, answer) - _size_bytes(key, answers.get(key))
            if self._bytes + size <= self._bytes_max:
                self._bytes += size
                answers[key] = answer

    def forget(self) -> None:
        """Forget all: what they say was erased."""
        with self._lock:
            self._now, self._bytes = (0, {}), 0


def _size_bytes(key: Key, answer: KeptAnswer | None) -> int:
    return len(key[1]) + len(answer.body) + limits.ANSWERS_KEPT_OVERHEAD_BYTES if answer else 0
