"""cheroot's server with connections collected by `intake` and threads that never wait for a client."""

from __future__ import annotations

import email.utils
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from cheroot import wsgi

from stemedb import limits
from stemedb.api.fair import FairQueue
from stemedb.api.gateway import Gateway
from stemedb.api.intake import Intake
from stemedb.api.later import Laters
from stemedb.api.turns import Turns

if TYPE_CHECKING:
    import socket

    from stemedb.api.connection import Connection
    from stemedb.errors import StemedbError
    from stemedb.telemetry import Telemetry

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


class Watcher(Protocol):
    """Who wants to know what never reaches the application."""

    def refused(self, error: StemedbError, request_id: str, client: str) -> None:
        """Note a request that was refused before it became one."""

    def trouble(self, message: str, level: int) -> None:
        """Note something unexpected in the server itself."""


class Workers:
    """A fixed number of threads that answer requests: the pool interface that cheroot documents."""

    def __init__(self, count: int, name: str, turns: Turns | None = None) -> None:
        """Make `count` threads, not started yet; each needs one of `turns` to take a request."""
        self.min = count
        self._turns = turns
        self._queue = FairQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{index}", daemon=True) for index in range(count)
        ]
        self.get = self._queue.get
        self._free = threading.Semaphore(count)
        self._busy: set[str] = set()

    def busy_count(self) -> int:
        """How many threads answer a request now."""
        return len(self._busy)

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return self._queue.qsize()

    def is_full_for(self, place: bytes) -> bool:
        """Say whether no more requests from `place` may wait for a thread."""
        return self._queue.is_full_for(place)

    def put(self, connection: Connection) -> None:
        """Let a thread answer the request of `connection`."""
        self._queue.put(connection)

    def go_on(self, connection: Connection) -> None:
        """Let a thread finish the answer to `connection`, which waited for nothing else any more."""
        self._queue.put_first(connection)

    def try_reserve(self) -> bool:
        """Claim a thread for a request to come; False when all are taken. Answering frees it."""
        return self._free.acquire(blocking=False)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5) -> None:
        """End the threads when they have answered what they have; those that take longer are left behind."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout)

    def _work(self) -> None:
        name = threading.current_thread().name
        while (connection := self._take()) is not None:
            reserved = connection.streams
            more_follows = bool(connection.collected)
            self._busy.add(name)
            try:
                connection.serve()
            except Exception as error:  # noqa: BLE001  (a thread that dies here would be missed for ever)
                connection.server.error_log(f"a worker failed: {error!r}", logging.ERROR)
            finally:
                self._busy.discard(name)
                if reserved:
                    self._free.release()
            if more_follows:
                # With its turn. Python's lock goes to whoever comes first, and a thread that has just let go
                # of it is there: without a pause, pipelined requests keep it from all who have to wake up.
                time.sleep(limits.PIPELINED_PAUSE_S)

    def _take(self) -> Connection | None:
        if self._turns:
            self._turns.take(self._queue.qsize)
        return self.get()


class Server(wsgi.Server):
    """The HTTP server of one service, on a socket it is given."""

    def __init__(
        self,
        listener: socket.socket,
        app: Application,
        watcher: Watcher,
        *,
        adopted: bool,
        turns: Turns | None = None,
        connections_max: int = limits.CONNECTIONS_MAX,
    ) -> None:
        """Serve `app` on `listener`; `adopted` says that its queue belongs to somebody who outlives us.

        `turns` are those that the application waives while it waits.
        """
        super().__init__(listener.getsockname()[:2], app, server_name="stemedb")
        self.gateway = Gateway
        self.software = "stemedb"
        self.socket = listener
        self.adopted = adopted
        self.draining = False
        self.requests: Workers = Workers(limits.HTTP_WORKERS, "http", turns or Turns())
        self.bulk: Workers = Workers(limits.BULK_REQUESTS_MAX, "bulk")
        self.laters = Laters(limits.LATERS_MAX)
        self.intake = Intake(self, listener, connections_max)
        self._connections_max = connections_max
        self._watcher = watcher
        self._date = (0, b"")

    @property
    def can_add_keepalive_connection(self) -> bool:
        """Whether replies may promise to keep the connection: cheroot says `Connection: close` where not."""
        return not self.draining

    def date(self) -> bytes:
        """Return the time of day as HTTP writes it."""
        now_s = int(time.time())
        made_s, text = self._date
        if made_s != now_s:
            text = email.utils.formatdate(now_s, usegmt=True).encode()
            self._date = (now_s, text)
        return text

    def serve(self) -> None:
        """Accept and answer until drained."""
        self.ready = True
        self.requests.start()
        self.bulk.start()
        self.intake.run()
        self.ready = False
        self.requests.stop(timeout=0)
        self.bulk.stop(timeout=0)

    def show(self, telemetry: Telemetry) -> None:
        """Let the gauges of `telemetry` show how busy this server is."""
        telemetry.connections.set_function(lambda: self.intake.connections_count)
        telemetry.connections_max.set(self._connections_max)
        telemetry.requests_waiting.set_function(lambda: self.requests.waiting)
        for name, pool in (("http", self.requests), ("bulk", self.bulk)):
            telemetry.workers.labels(name).set(pool.min)
            telemetry.workers_busy.labels(name).set_function(pool.busy_count)

    def drain(self) -> None:
        """Accept no more, finish what is connected (bounded), and let `serve` return."""
        self.draining = True
        self.intake.drain()

    def refused(self, error: StemedbError, request_id: str, client: str) -> None:
        """Pass on what never reaches the application."""
        self._watcher.refused(error, request_id, client)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: object = None) -> None:  # noqa: ARG002
        """Pass on what cheroot has to say, without a trace."""
        self._watcher.trouble(msg, level)
