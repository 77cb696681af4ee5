"""Metrics of commands that end: files for node_exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge


class Sample(NamedTuple):
    """One value of a metric of `TEXTFILE_METRICS`."""

    name: str
    value: float
    labels: Mapping[str, str] = MappingProxyType({})


TEXTFILE_METRICS: Final = MappingProxyType(
    {
        "stemedb_backup_last_success_timestamp_seconds": "When a backup last succeeded.",
        "stemedb_backup_last_size_bytes": "Bytes of the last backup: its view, and the log up to it.",
        "stemedb_backup_last_duration_seconds": "Time of the last backup.",
        "stemedb_backup_verify_last_success_timestamp_seconds": "When a verification last found all whole.",
        "stemedb_archive_lag_seconds": "How long the archive has lacked something; 0 while it lacks nothing.",
        "stemedb_archive_behind_bytes": "Bytes of the log that are synced and not archived.",
        "stemedb_archive_last_update_timestamp_seconds": "When the archive was last seen to lack nothing.",
        "stemedb_archive_seq": "The last record archived.",
        "stemedb_drill_last_success_timestamp_seconds": "When a restore drill last passed.",
        "stemedb_drill_result": "1 for how the last restore drill ended, 0 for the others.",
    }
)
"""What backup commands write for node_exporter's textfile collector, with its meaning."""


def textfile(samples: Sequence[Sample]) -> bytes:
    """Return a textfile of these samples, in Prometheus' text format."""
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for name, value, labels in samples:
        gauge = gauges.get(name)
        if gauge is None:
            gauge = gauges[name] = Gauge(name, TEXTFILE_METRICS[name], tuple(labels), registry=registry)
        (gauge.labels(**labels) if labels else gauge).set(value)
    return prometheus_client.generate_latest(registry)
