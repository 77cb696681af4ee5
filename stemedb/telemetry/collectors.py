"""Metrics that are worked out when somebody asks for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

from stemedb import limits

_QUANTILES: Final = (0.5, 0.95, 0.99)


class LatencyWindow(Collector):
    """`stemedb_query_latency_seconds{quantile=}`: a summary over the last minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty; `clock` gives seconds."""
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque(maxlen=limits.LATENCY_SAMPLES_MAX)
        self._count = 0
        self._sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Note one answered question."""
        self._samples.append((self._clock(), duration_s))
        self._count += 1
        self._sum_s += duration_s

    def quantile(self, share: float) -> float:
        """Return the duration (seconds) that `share` of the questions stayed within; NaN for none."""
        return _quantile(self._window(), share)

    def collect(self) -> Iterator[SummaryMetricFamily]:
        """Yield the family with one sample a quantile."""
        window = self._window()
        name = "stemedb_query_latency_seconds"
        family = SummaryMetricFamily(name, "Time to answer a question, over a sliding window.")
        for share in _QUANTILES:
            family.add_sample(name, {"quantile": str(share)}, _quantile(window, share))
        family.add_sample(f"{name}_count", {}, self._count)
        family.add_sample(f"{name}_sum", {}, self._sum_s)
        yield family

    def _window(self) -> list[float]:
        since = self._clock() - limits.LATENCY_WINDOW_S
        return sorted(duration_s for at, duration_s in list(self._samples) if at >= since)


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class Assertions(Collector):
    """`stemedb_assertions_total`: a counter that starts at the number of claims in the view.

    Absent before the view is open: a zero in between would look like a reset, and every claim like a new one.
    """

    def __init__(self) -> None:
        """Know nothing of the view yet."""
        self.started_at: int | None = None
        self.created_count = 0

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the family, once there is a count."""
        if self.started_at is not None:
            count = self.started_at + self.created_count
            yield CounterMetricFamily(
                "stemedb_assertions", "Claims in the view at the start, and created since.", value=count
            )

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Yield its name, also before."""
        yield CounterMetricFamily("stemedb_assertions", "")


class OwnProcess(ProcessCollector):
    """`process_*`: the library shows nothing where /proc/stat is hidden, as in our unit's sandbox."""

    def _boot_time(self) -> float:
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
