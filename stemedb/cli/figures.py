"""A server's figures from its metrics: gauges as they are, counters as rates between two looks."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import NamedTuple

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from stemedb.client import Client

REASONS_SHOWN_MAX = 5
_MS_PER_S = 1000
_SERVER_ERROR = "5"


class Look(NamedTuple):
    """All samples of one moment (seconds of a monotonic clock): summed by name, and by name and one label."""

    at_s: float
    sums: dict[str, float]
    labelled: dict[tuple[str, str, str], float]  # (metric, label, value)


class Latency(msgspec.Struct, frozen=True):
    """Quantiles of the time to answer a question, over the last minutes; none without questions."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Rates(msgspec.Struct, frozen=True):
    """What happened in a second, between two looks; `refused` by the problem's code, the most frequent."""

    requests: float
    server_errors: float
    questions: float
    claims: float
    refused: dict[str, float]
    sync_ms: float | None
    cpu: float


class Figures(msgspec.Struct, frozen=True):
    """What a server tells about itself; `rates` only after a second look."""

    latency: Latency
    log_seq: int
    view_seq: int
    claims_count: int
    queued_changes: int
    queued_changes_max: int
    requests_waiting: int
    workers_busy: int
    workers: int
    connections: int
    connections_max: int
    segments: int
    log_bytes: int
    map_use: float
    disk_free_bytes: dict[str, int]
    breakers_open: int
    quarantine_pending: int
    exposed: bool
    memory_bytes: int
    files_open: int
    rates: Rates | None = None


def look(client: Client) -> Look:
    """Ask a server for its metrics."""
    text, at_s = client.metrics(), time.monotonic()
    sums: defaultdict[str, float] = defaultdict(float)
    labelled: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if "le" in sample.labels:
                continue
            sums[sample.name] += sample.value
            for name, value in sample.labels.items():
                labelled[sample.name, name, value] += sample.value
    return Look(at_s, sums, labelled)


def figures_of(now: Look, before: Look | None = None) -> Figures:
    """Return the figures of a look, with rates where there was one before."""
    get = now.sums.get

    def whole(name: str) -> int:
        return int(get(name, 0))

    def labelled(name: str, label: str) -> dict[str, float]:
        return {
            value: found for (each, by, value), found in now.labelled.items() if (each, by) == (name, label)
        }

    quantiles = labelled("stemedb_query_latency_seconds", "quantile")
    return Figures(
        latency=Latency(*(_ms(quantiles.get(share)) for share in ("0.5", "0.95", "0.99"))),
        log_seq=whole("stemedb_wal_seq"),
        view_seq=whole("stemedb_view_seq"),
        claims_count=whole("stemedb_claims"),
        queued_changes=whole("stemedb_queue_changes"),
        queued_changes_max=whole("stemedb_queue_changes_max"),
        requests_waiting=whole("stemedb_http_requests_waiting"),
        workers_busy=whole("stemedb_http_workers_busy"),
        workers=whole("stemedb_http_workers"),
        connections=whole("stemedb_http_connections"),
        connections_max=whole("stemedb_http_connections_max"),
        segments=whole("stemedb_wal_segments"),
        log_bytes=whole("stemedb_wal_disk_usage_bytes"),
        map_use=get("stemedb_storage_map_used_bytes", 0) / max(1, get("stemedb_storage_map_size_bytes", 0)),
        disk_free_bytes={
            name: int(free) for name, free in labelled("stemedb_disk_free_bytes", "folder").items()
        },
        breakers_open=whole("stemedb_circuit_breakers_open"),
        quarantine_pending=whole("stemedb_quarantine_pending"),
        exposed=bool(get("stemedb_exposed", 0)),
        memory_bytes=whole("process_resident_memory_bytes"),
        files_open=whole("process_open_fds"),
        rates=_rates(now, before) if before else None,
    )


def _ms(seconds: float | None) -> float | None:
    """Return milliseconds; none for NaN, which says that there was no question."""
    return None if seconds is None or seconds != seconds else seconds * _MS_PER_S  # noqa: PLR0124 - NaN


def _rates(now: Look, before: Look) -> Rates:
    passed_s = max(now.at_s - before.at_s, 1e-9)

    def grown(name: str) -> float:
        # A counter that fell began anew, with the server.
        added = now.sums.get(name, 0) - before.sums.get(name, 0)
        return added if added >= 0 else now.sums.get(name, 0)

    def by(name: str, label: str) -> dict[str, float]:
        return {
            value: max(0.0, found - before.labelled.get((each, of, value), 0)) / passed_s
            for (each, of, value), found in now.labelled.items()
            if (each, of) == (name, label)
        }

    reasons = by("stemedb_requests_rejected_total", "reason")
    refused = sorted(reasons.items(), key=lambda found: -found[1])[:REASONS_SHOWN_MAX]
    syncs = grown("stemedb_wal_fsync_latency_seconds_count")
    statuses = by("stemedb_http_requests_total", "status")
    return Rates(
        requests=grown("stemedb_http_requests_total") / passed_s,
        server_errors=sum(rate for status, rate in statuses.items() if status.startswith(_SERVER_ERROR)),
        questions=grown("stemedb_queries_total") / passed_s,
        claims=grown("stemedb_assertions_ingested_total") / passed_s,
        refused={reason: rate for reason, rate in refused if rate > 0},
        sync_ms=grown("stemedb_wal_fsync_latency_seconds_sum") / syncs * _MS_PER_S if syncs else None,
        cpu=grown("process_cpu_seconds_total") / passed_s,
    )
