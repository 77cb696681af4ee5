"""The state that routes share: the engine once it is open, and what the service is doing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING

from stemedb import limits
from stemedb.api.kept import KeptAnswers
from stemedb.api.slow import SlowQueries
from stemedb.api.turns import Turns
from stemedb.errors import Corrupt, StemedbError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    import structlog

    from stemedb.engine import Engine
    from stemedb.guard import Guards
    from stemedb.telemetry import Telemetry


class State(Enum):
    """Where in its life the service is."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Service:
    """One running service. Safe to use from many threads."""

    def __init__(
        self,
        telemetry: Telemetry,
        log: structlog.typing.FilteringBoundLogger,
        guards: Guards,
        on_corrupt: Callable[[], None],
    ) -> None:
        """Start without an engine; `on_corrupt` is called once when stored bytes turn out to be wrong."""
        self.telemetry = telemetry
        self.log = log
        self.guards = guards
        self.state = State.STARTING
        self.progress = "opening"
        self.corrupt: Corrupt | None = None
        self.helpers = ThreadPoolExecutor(limits.BULK_HELPERS, thread_name_prefix="helper")
        self.waiting = threading.BoundedSemaphore(limits.WAITING_WORKERS_MAX)
        self.turns = Turns()
        self.slow = SlowQueries(log)
        self.answers = KeptAnswers()
        self.last_request_s = 0.0
        """When a request came last, by `time.monotonic`."""
        self._on_corrupt = on_corrupt
        self._engine: Engine | None = None
        self._began = time.monotonic()

    @property
    def opened(self) -> Engine | None:
        """The engine, None while the service is starting."""
        return self._engine

    @property
    def engine(self) -> Engine:
        """The engine; raises `Unavailable` while the service is starting."""
        if self._engine is None:
            raise Unavailable(
                f"the service is starting: {self.progress}",
                code="starting",
                retry_after_s=limits.RETRY_AFTER_S,
            )
        return self._engine

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def serve(self, engine: Engine) -> None:
        """Become ready."""
        self._engine = engine
        self.state = State.SERVING

    @property
    def ready(self) -> bool:
        """Whether requests are welcome. A full disk refuses writes only, and reads must find their way."""
        engine = self._engine
        return self.state is State.SERVING and engine is not None and not engine.failed.is_set()

    def failed_checks(self) -> dict[str, str]:
        """Return the checks that fail, each with what is wrong."""
        if self.state is State.DRAINING:
            return {"state": "draining"}
        if self._engine is None:
            return {"state": f"starting: {self.progress}"}
        return {name: found for name, found in self._engine.checks().items() if found != "ok"}

    def note_corrupt(self, error: Corrupt) -> None:
        """Note that stored bytes are wrong: nothing that is read can be trusted, so the process ends."""
        self.corrupt = error
        self._on_corrupt()

    # -- what never reaches the application (server.Watcher) --

    def refused(self, error: StemedbError, request_id: str, client: str) -> None:
        """Count and log a request that was refused before it became one."""
        self.telemetry.rejected.labels(error.reason).inc()
        self.telemetry.http_requests.labels("none", "none", str(error.status)).inc()
        self.log.info(
            "refused",
            request_id=request_id,
            client=client,
            status=error.status,
            code=error.reason,
            detail=error.detail,
        )

    def trouble(self, message: str, level: int) -> None:
        """Log what the HTTP library has to say."""
        self.log.log(level, message)
