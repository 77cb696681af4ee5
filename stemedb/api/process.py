"""The life of the service process: open, become ready, answer, drain, end with a status that says why."""

from __future__ import annotations

import queue
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum, auto
from types import FrameType
from typing import TYPE_CHECKING, Final

from stemedb import limits
from stemedb.api import systemd
from stemedb.api.app import Application
from stemedb.api.server import Server
from stemedb.api.service import Service, State
from stemedb.errors import Corrupt, StemedbError, StorageFailed

if TYPE_CHECKING:
    import structlog

    from stemedb.engine import Engine
    from stemedb.guard import Guards
    from stemedb.telemetry import Telemetry

Progress = Callable[[str], None]
Opener = Callable[[Progress], "Engine"]

_PROGRESS_EVERY_S: Final = 1.0
_LOOK_UP_EVERY_S: Final = 0.5
_SPARE_DESCRIPTORS: Final = 1024  # beside those of connections


class _News(Enum):
    """What the main thread waits for."""

    OPENED = auto()
    GRACE_OVER = auto()
    STOP = auto()
    BROKEN = auto()


def _connections_max() -> int:
    """Return how many connections there may be, after the limit on descriptors was raised as far as it goes.

    Log and view open files while they run: clients must never be able to take the last descriptor.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.CONNECTIONS_MAX + _SPARE_DESCRIPTORS
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return min(limits.CONNECTIONS_MAX, soft - min(_SPARE_DESCRIPTORS, soft // 2))


class Process:
    """Runs one service until it is asked to stop or cannot go on."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        adopted: bool,
        telemetry: Telemetry,
        log: structlog.typing.FilteringBoundLogger,
        guards: Guards,
        env: Mapping[str, str],
    ) -> None:
        """Take over `listener`; `adopted` if the service manager holds it too. `env` is the manager's."""
        self._log = log
        self._listener = listener
        self._service = Service(telemetry, log, guards, on_corrupt=lambda: self._news.put(_News.BROKEN))
        self._server = Server(
            listener,
            Application(self._service),
            self._service,
            adopted=adopted,
            turns=self._service.turns,
            connections_max=_connections_max(),
        )
        self._server.show(telemetry)
        self._serving = threading.Thread(target=self._server.serve, name="intake", daemon=True)
        self._notifier = systemd.Notifier(env.get("NOTIFY_SOCKET"))
        self._watchdog_s = systemd.watchdog_s(env)
        # A SimpleQueue may be put to from a signal handler.
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self._broken: StemedbError | None = None
        self._last_progress_s = 0.0

    def note_slow_queries(self, threshold_ms: int) -> None:
        """Note questions that take so long or longer."""
        self._service.slow.threshold_ms = threshold_ms

    def run(self, open_engine: Opener) -> None:
        """Serve until SIGTERM or SIGINT, then drain and return.

        Raises:
            StemedbError: the engine cannot be opened, or storage failed while serving.
        """
        self._prepare()
        threading.Thread(target=self._open, args=(open_engine,), name="opening", daemon=True).start()
        grace = threading.Timer(limits.START_GRACE_S, self._news.put, (_News.GRACE_OVER,))
        grace.daemon = True
        grace.start()
        while (news := self._next_news()) is not _News.STOP:
            if news is _News.BROKEN:
                raise self._failure()
            # Requests that come before the service is ready wait in the listen queue for a while: most
            # starts are over by then, and their clients notice nothing but a delay.
            if not self._serving.is_alive():
                self._serving.start()
            if news is _News.OPENED:
                grace.cancel()
                self._become_ready()
        self._stop()

    def _next_news(self) -> _News:
        # Python runs signal handlers in the main thread, between two of its steps. A wait without an end can
        # sleep through a signal that another thread was given (trial: SIGINT and SIGTERM together, as at
        # Ctrl-C, were slept through in 5 of 20 stops), so this one looks up now and then.
        while True:
            with suppress(queue.Empty):
                return self._news.get(timeout=_LOOK_UP_EVERY_S)

    def _prepare(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        host, port = self._listener.getsockname()[:2]
        self._log.info("listening", host=host, port=port, adopted=self._server.adopted)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._news.put(_News.STOP)

    # -- starting --

    def _open(self, open_engine: Opener) -> None:
        try:
            engine = open_engine(self._note_progress)
        except StemedbError as error:
            self._break(error)
        except Exception as error:  # noqa: BLE001  (whatever it was, the process must end with one line)
            self._log.error("the start failed", error=repr(error), exc_info=error)
            self._break(StemedbError(f"the start failed: {error!r}"))
        else:
            self._service.serve(engine)
            threading.Thread(target=self._watch, args=(engine,), name="watch", daemon=True).start()
            self._news.put(_News.OPENED)

    def _note_progress(self, text: str) -> None:
        self._service.progress = text
        now = time.monotonic()
        if now - self._last_progress_s >= _PROGRESS_EVERY_S:
            self._last_progress_s = now
            self._notifier.progress(f"starting: {text}")
            self._log.info("starting", progress=text)

    def _become_ready(self) -> None:
        # The manager hears READY only after an answer has come the way that clients' answers come.
        if not self._answers(limits.WATCHDOG_TIMEOUT_S_MAX):
            self._log.warning("the service does not answer its own probe")
        self._notifier.send("READY=1", "STATUS=serving")
        self._log.info(
            "ready", seconds=round(self._service.uptime_s, 3), seq=self._service.engine.view.applied_seq
        )
        if self._watchdog_s:
            threading.Thread(
                target=self._be_watched, args=(self._watchdog_s,), name="watchdog", daemon=True
            ).start()

    # -- while serving --

    def _watch(self, engine: Engine) -> None:
        engine.failed.wait()
        failure = engine.failure
        self._break(failure if isinstance(failure, Corrupt) else StorageFailed(f"storage failed: {failure}"))

    def _break(self, error: StemedbError) -> None:
        self._broken = self._broken or error
        self._news.put(_News.BROKEN)

    def _failure(self) -> StemedbError:
        error = self._service.corrupt or self._broken or StemedbError("the service broke")
        if self._service.opened:
            self._log.critical("ending", error=error.detail, code=error.reason)
            # Whoever waits for an acknowledgement shall hear that there is none.
            time.sleep(limits.FAILURE_NOTICE_S)
        return error

    def _be_watched(self, within_s: float) -> None:
        """Send a sign of life as long as the service really answers."""
        every_s = within_s / 3
        while self._service.state is State.SERVING:
            if self._answers(min(every_s, limits.WATCHDOG_TIMEOUT_S_MAX)):
                self._notifier.send("WATCHDOG=1")
            time.sleep(every_s)

    def _answers(self, timeout_s: float) -> bool:
        host, port = self._listener.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (compared, not bound)
        try:
            with socket.create_connection((host, port), timeout_s) as sock:
                sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return sock.recv(64).startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False

    # -- ending --

    def _stop(self) -> None:
        self._log.info("draining")
        self._notifier.send("STOPPING=1", "STATUS=draining")
        engine = self._service.opened
        if engine is None:
            return  # still recovering: the log is safe to be left at any moment
        self._service.state = State.DRAINING
        self._server.drain()
        self._serving.join(limits.DRAIN_TIMEOUT_S + 1)
        # A change that hangs on a stuck disk must not keep the process from ending: it was not acknowledged.
        self._service.guards.close()
        closing = threading.Thread(target=engine.close, name="closing", daemon=True)
        closing.start()
        closing.join(limits.CLOSE_TIMEOUT_S)
        self._log.info("stopped", uptime_seconds=round(self._service.uptime_s, 3))
