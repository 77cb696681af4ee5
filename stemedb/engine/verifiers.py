"""Processes that verify many signatures beside the service.

Threads could do it, too: a signature leaves the interpreter to others while it is verified. But each lets go
of it and asks for it back, and where a chunk has hundreds that costs more than the signatures themselves.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from stemedb import limits
from stemedb.engine import verifier
from stemedb.engine.verifier import COUNT, SIGNED
from stemedb.model import Signature, signature_message, verify_signature

_PROGRAM: Final = verifier.__file__
_END_S: Final = 1.0  # for a verifier to end by itself


class Signed(NamedTuple):
    """What an agent signed, by its id, and the signature."""

    content_id: bytes
    signature: Signature


def verify_here(signed: Sequence[Signed]) -> list[bool]:
    """Say for each signature whether it is its agent's over that content."""
    return [verify_signature(content_id, signature) for content_id, signature in signed]


class Verifiers:
    """Verifies signatures in `limits.VERIFIERS` processes, started when they are first needed.

    Where one cannot be started, dies or does not answer in time, its part is verified here, and for a while
    no other takes its place. Safe to use from many threads.
    """

    def __init__(
        self,
        on_trouble: Callable[[str], None] = lambda _what: None,
        processors: frozenset[int] = frozenset(),
    ) -> None:
        """Start nothing yet; `on_trouble` is told what happened to a process.

        They run on `processors`; where none are named, on those that whoever asks first runs on.
        """
        self._on_trouble = on_trouble
        self._processors = processors
        self._lock = threading.Lock()
        self._places: list[_Verifier | None] = [None] * limits.VERIFIERS
        self._empty_until = [0.0] * limits.VERIFIERS
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run now."""
        return [each.pid for each in self._places if each]

    def verify(self, signed: Sequence[Signed]) -> list[bool]:
        """Say for each signature whether it is its agent's over that content; blocks while that takes."""
        if len(signed) < limits.VERIFIED_APART_MIN:
            return verify_here(signed)
        if not self._lock.acquire(blocking=len(signed) >= limits.VERIFIERS_AWAITED_MIN):
            return verify_here(signed)
        try:
            parts, answers = self._ask_all(signed)
        finally:
            self._lock.release()
        found = []
        for part, answer in zip(parts, answers, strict=True):
            found += verify_here(part) if answer is None else answer
        return found

    def _ask_all(self, signed: Sequence[Signed]) -> tuple[list[Sequence[Signed]], list[list[bool] | None]]:
        """Return what each verifier was asked, and its answers; None where there is none."""
        share = -(-len(signed) // limits.VERIFIERS)
        parts = [signed[start : start + share] for start in range(0, len(signed), share)]
        # All are asked before the first is waited for.
        asked = [self._ask(place, part) for place, part in enumerate(parts)]
        return parts, [
            self._answer(place, part) if was_asked else None
            for place, (part, was_asked) in enumerate(zip(parts, asked, strict=True))
        ]

    def close(self) -> None:
        """End the processes; what is verified later is verified here. A second call does nothing."""
        with self._lock:
            self._closed = True
            for place, each in enumerate(self._places):
                if each:
                    each.end()
                self._places[place] = None

    def _ask(self, place: int, part: Sequence[Signed]) -> bool:
        try:
            found = self._at(place)
            if found:
                found.ask(part)
        except OSError as error:
            self._lose(place, error)
            return False
        return found is not None

    def _answer(self, place: int, part: Sequence[Signed]) -> list[bool] | None:
        found = self._places[place]
        assert found is not None  # noqa: S101 - it was just asked, under the same lock
        try:
            return found.answer(len(part))
        except OSError as error:
            self._lose(place, error)
            return None

    def _at(self, place: int) -> _Verifier | None:
        if self._places[place] is None and not self._closed and time.monotonic() >= self._empty_until[place]:
            self._places[place] = _Verifier(self._processors)
        return self._places[place]

    def _lose(self, place: int, error: OSError) -> None:
        self._empty_until[place] = time.monotonic() + limits.VERIFIER_PAUSE_S
        lost, self._places[place] = self._places[place], None
        status = lost.end() if lost else None
        self._on_trouble(f"{error} (status {status})")


class _Verifier:
    """One process, and this end of what connects it."""

    def __init__(self, processors: frozenset[int]) -> None:
        """Start it; raises `OSError`."""
        self._socket, far = socket.socketpair()
        try:
            with far:
                # A session of its own: Ctrl-C and the end of a terminal are for the service, which then ends
                # its verifiers. An empty environment: there is nothing in ours that it needs to know.
                self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-I", _PROGRAM],
                    stdin=far.fileno(),
                    cwd="/",
                    env={},
                    start_new_session=True,
                )
        except BaseException:
            self._socket.close()
            raise
        if processors:
            with suppress(OSError):
                os.sched_setaffinity(self._process.pid, processors)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, part: Sequence[Signed]) -> None:
        """Send a question; raises `OSError` where nobody takes it in time."""
        packed = b"".join(
            SIGNED.pack(each.agent_id, each.signature, signature_message(content_id, each.timestamp))
            for content_id, each in part
        )
        self._socket.settimeout(limits.VERIFIER_WAIT_S + len(part) * limits.VERIFIER_WAIT_EACH_S)
        self._socket.sendall(COUNT.pack(len(part)) + packed)

    def answer(self, count: int) -> list[bool]:
        """Wait for the answer to it; raises `OSError` where none comes in time."""
        answer = bytearray()
        while len(answer) < count:
            more = self._socket.recv(count - len(answer))
            if not more:
                raise ConnectionResetError("it ended before it had answered")
            answer += more
        return [verdict == 1 for verdict in answer]

    def end(self) -> int | None:
        """Let it end, by force if need be; return its status."""
        self._socket.close()
        try:
            return self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
