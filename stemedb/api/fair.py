"""Whose request is next: places take turns, so that a flood from one delays itself and not the others."""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import TYPE_CHECKING

from stemedb import limits

if TYPE_CHECKING:
    from stemedb.api.connection import Connection


class FairQueue:
    """Requests that wait for a thread. Safe to use from many threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._signs: queue.SimpleQueue[bool] = queue.SimpleQueue()  # one a request; False is the end
        self._first: deque[Connection] = deque()
        self._waiting: dict[bytes, deque[Connection]] = {}  # by place; whose turn it is stands first
        self.qsize = self._signs.qsize

    def is_full_for(self, place: bytes) -> bool:
        """Say whether all room for requests is taken, or half of it by `place` alone."""
        own = len(self._waiting.get(place, ()))
        return self.qsize() >= limits.READY_REQUESTS_MAX or own >= limits.READY_REQUESTS_MAX // 2

    def put(self, connection: Connection | None) -> None:
        """Add a request, or None as the end for one who gets."""
        if connection is not None:
            with self._lock:
                self._waiting.setdefault(connection.place, deque()).append(connection)
        self._signs.put(connection is not None)

    def put_first(self, connection: Connection) -> None:
        """Add a request that is half answered: it had its turn, and goes before all others."""
        self._first.append(connection)
        self._signs.put(True)  # noqa: FBT003 - see there

    def get(self) -> Connection | None:
        """Wait for a request whose turn it is; None at the end."""
        if not self._signs.get():
            return None
        with self._lock:
            if self._first:
                return self._first.popleft()
            place, waiting = next(iter(self._waiting.items()))
            connection = waiting.popleft()
            del self._waiting[place]
            if waiting:
                self._waiting[place] = waiting  # behind all others
            return connection
