"""Questions that took long: in the service's own log, and the last of them in memory for administrators."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from stemedb import limits
from stemedb.engine.shapes import SlowQueriesReply, SlowQueryOut
from stemedb.query import Counts, Question, plan_of

if TYPE_CHECKING:
    import structlog

    from stemedb.api.call import Call


class SlowQueries:
    """Keeps the newest of them. Safe to use from many threads."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        """Start empty; each is written to `log` as well."""
        self.threshold_ms = limits.SLOW_QUERY_MS_DEFAULT
        self._log = log
        self._lock = threading.Lock()
        self._number = 0
        self._kept: deque[SlowQueryOut] = deque(maxlen=limits.SLOW_QUERIES_MAX)

    def look_at(
        self, call: Call, endpoint: str, question: Question, counts: Counts | None, took_s: float
    ) -> None:
        """Note a question if it took long; without `counts` its time ran out."""
        if took_s * 1000 < self.threshold_ms:
            return
        key_id = call.caller.key_id
        fields: dict[str, Any] = {
            "request_id": call.environ["stemedb.request_id"],
            "key_id": key_id.hex() if key_id else "",
            "agent": call.label(),
            "endpoint": f"/v1/{endpoint}",
            "parameters": call.parameters(),
            "plan": plan_of(endpoint, question),
            "looked_count": counts.looked if counts else None,
            "found_count": counts.found if counts else None,
            "duration_ms": round(took_s * 1000, 3),
        }
        with self._lock:
            self._number += 1
            self._kept.append(SlowQueryOut(number=self._number, time=time.time_ns() // 1000, **fields))
        self._log.warning("slow query", **fields)

    def page(self, limit: int, before: int | None) -> SlowQueriesReply:
        """Return the newest, at most `limit`, with a number below `before` where given."""
        with self._lock:
            kept = list(self._kept)
        found = [each for each in reversed(kept) if before is None or each.number < before]
        following = str(found[limit - 1].number) if len(found) > limit else None
        return SlowQueriesReply(self.threshold_ms, found[:limit], following)
