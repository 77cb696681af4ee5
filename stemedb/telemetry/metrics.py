"""The metrics of a server."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from stemedb.telemetry.collectors import Assertions, LatencyWindow, OwnProcess

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_FSYNC_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_QUERY_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_OPERATION_BUCKETS_S: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_OPERATIONS: Final = ("fold", "compact", "overwrite")


class Telemetry:
    """The metrics of one server."""

    def __init__(self, version: str = "") -> None:
        """Register every metric, at zero; `version` is that of the service."""
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # one series a metric, as the dashboards name them
        self.registry = CollectorRegistry()
        OwnProcess(registry=self.registry)
        build = Info("stemedb_build", "What runs: always 1.", registry=self.registry)
        build.info({"version": version, "python": platform.python_version()})
        self.query_latency = LatencyWindow()
        self.registry.register(self.query_latency)
        self._assertions = Assertions()
        self.registry.register(self._assertions)
        self.query_duration = self._histogram(
            "stemedb_query_duration_seconds",
            "Time to answer a question.",
            _QUERY_BUCKETS_S,
            ("endpoint", "lens"),
        )
        self.query_timeouts = self._counter("stemedb_query_timeout_total", "Questions past their time limit.")
        self.queries = self._counter("stemedb_queries_total", "Questions answered.", ("endpoint",))
        self.answers_kept = self._counter(
            "stemedb_answers_kept_total", "Questions whose answer was still known, or was not.", ("outcome",)
        )
        self._kept = (self.answers_kept.labels("miss"), self.answers_kept.labels("hit"))
        self._questions: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self.ingested = self._counter("stemedb_assertions_ingested_total", "Claims created since the start.")
        self.http_requests = self._counter(
            "stemedb_http_requests_total", "HTTP requests answered.", ("endpoint", "method", "status")
        )
        self.rejected = self._counter(
            "stemedb_requests_rejected_total", "Requests refused, by the code of the problem.", ("reason",)
        )
        self.quarantined = self._counter(
            "stemedb_claims_quarantined_total", "Claims held back, by what spoke against them.", ("reason",)
        )
        for reason in ("low_quality", "near_duplicate", "unearned_confidence"):
            self.quarantined.labels(reason)
        self.quarantine_pending = self._gauge(
            "stemedb_quarantine_pending", "Claims in quarantine that nobody has decided about."
        )
        self.audits_dropped = self._counter(
            "stemedb_audits_dropped_total", "Audits of questions lost: no room, or the disk failed."
        )
        self.exposed = self._gauge(
            "stemedb_exposed", "1 while a public address is served without asking for keys."
        )
        self.breakers_open = self._gauge(
            "stemedb_circuit_breakers_open", "Agents that are shut out now, for claims that were refused."
        )
        self.breakers_open_longest = self._gauge(
            "stemedb_circuit_breakers_open_longest_seconds",
            "How long the agent that is shut out now has not had a claim accepted, of all the longest.",
        )
        self._add_storage()
        self._add_resources()

    def _add_storage(self) -> None:
        self.fsync_latency = self._histogram(
            "stemedb_wal_fsync_latency_seconds", "Time of one sync of the log.", _FSYNC_BUCKETS_S
        )
        self.fsync_errors = self._counter(
            "stemedb_wal_fsync_errors_total", "Writes or syncs of the log that failed."
        )
        self.batch_size = self._histogram(
            "stemedb_wal_batch_size", "Records in one group commit.", _BATCH_BUCKETS
        )
        self.wal_bytes = self._counter("stemedb_wal_bytes_written_total", "Bytes appended to the log.")
        self.wal_segments = self._gauge("stemedb_wal_segments", "Segment files of the log.")
        self.wal_disk_usage = self._gauge("stemedb_wal_disk_usage_bytes", "Bytes the log takes on disk.")
        self.recovery_duration = self._gauge(
            "stemedb_wal_recovery_duration_seconds", "Time of the last recovery."
        )
        self.operation_duration = self._histogram(
            "stemedb_storage_operation_duration_seconds",
            "Time of one operation of the view.",
            _OPERATION_BUCKETS_S,
            ("operation",),
        )
        self.operation_errors = self._counter(
            "stemedb_storage_operation_errors_total", "Operations of the view that failed.", ("operation",)
        )
        for name in _OPERATIONS:  # there from the start: what appears with its first error is no increase
            self.operation_duration.labels(name)
            self.operation_errors.labels(name)

    def _add_resources(self) -> None:
        """Add what may run out, each with what there is of it."""
        self.queue_changes = self._gauge("stemedb_queue_changes", "Changes that wait for the writer.")
        self.queue_changes_max = self._gauge("stemedb_queue_changes_max", "Changes that may wait.")
        self.wal_seq = self._gauge("stemedb_wal_seq", "The last record of the log.")
        self.view_seq = self._gauge("stemedb_view_seq", "The last record that the view holds.")
        self.claims = self._gauge("stemedb_claims", "Claims in the view now.")
        self.map_used = self._gauge("stemedb_storage_map_used_bytes", "Bytes of the view's map in use.")
        self.map_size = self._gauge("stemedb_storage_map_size_bytes", "Bytes of the view's map.")
        self.escalations = self._gauge("stemedb_escalations_pending", "Crowds with nobody above them.")
        self.clock_behind = self._gauge(
            "stemedb_clock_behind_log_seconds", "How far the clock is behind the log's last record."
        )
        self.check_ok = self._gauge("stemedb_health_check_ok", "1 while this check is well.", ("check",))
        folder = ("folder",)
        self.disk_free = self._gauge("stemedb_disk_free_bytes", "Bytes free for the service.", folder)
        self.disk_size = self._gauge("stemedb_disk_size_bytes", "Bytes of the file system.", folder)
        self.disk_inodes_free = self._gauge("stemedb_disk_inodes_free", "Inodes free.", folder)
        self.disk_inodes = self._gauge("stemedb_disk_inodes", "Inodes of the file system.", folder)
        self.disk_floor = self._gauge("stemedb_disk_floor_bytes", "Free bytes that writes need.")
        self.connections = self._gauge("stemedb_http_connections", "Connections that are open.")
        self.connections_max = self._gauge("stemedb_http_connections_max", "Connections that may be open.")
        pool = ("pool",)
        self.workers = self._gauge("stemedb_http_workers", "Threads that answer requests.", pool)
        self.workers_busy = self._gauge("stemedb_http_workers_busy", "Those that do so now.", pool)
        self.requests_waiting = self._gauge(
            "stemedb_http_requests_waiting", "Whole requests that wait for a thread."
        )

    def count_assertions(self, present_count: int) -> None:
        """Let `stemedb_assertions_total` begin at the number of claims in a view that has been opened."""
        self._assertions.started_at = present_count

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Time an operation of the view, and count it as failed where it raises."""
        try:
            with self.operation_duration.labels(name).time():
                yield
        except BaseException:
            self.operation_errors.labels(name).inc()
            raise

    def note_question(self, endpoint: str, lens: str, duration_s: float) -> None:
        """Count an answered question; `lens` is `none` without one."""
        children = self._questions.get((endpoint, lens))
        if children is None:  # kept, because finding them costs more than counting
            children = (self.queries.labels(endpoint), self.query_duration.labels(endpoint, lens))
            self._questions[endpoint, lens] = children
        children[0].inc()
        children[1].observe(duration_s)
        self.query_latency.observe(duration_s)

    def note_kept(self, *, hit: bool) -> None:
        """Count a question whose answer was still known, or was not."""
        self._kept[hit].inc()

    def note_created(self, count: int) -> None:
        """Count claims that were created."""
        self.ingested.inc(count)
        self._assertions.created_count += count

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()
    ) -> Histogram:
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)
