"""For every alert: series with which it fires, and series with which it just does not."""

from __future__ import annotations

from typing import Final, NamedTuple

HOUR_M: Final = 60
DAY_M: Final = 24 * HOUR_M
SERVICE: Final = 'job="stemedb",instance="h"'
NODE: Final = 'job="node",instance="h"'


class Case(NamedTuple):
    """What is scraped each minute, `{metric{labels}: values}`, and when the alert fires (minutes)."""

    fires: dict[str, str]
    silent: dict[str, str]
    after_m: int
    ever: int = 1  # how many fire


def steady(name: str, labels: str, fires: float, silent: float, after_m: int) -> Case:
    """A gauge that stays at one value."""
    series = f"{name}{{{labels}}}"
    return Case({series: f"{fires}x{after_m}"}, {series: f"{silent}x{after_m}"}, after_m)


def ratio(part: str, whole: str, labels: str, fires: float, silent: float, after_m: int) -> Case:
    """A gauge as a share (percent) of another one."""
    of = {f"{whole}{{{labels}}}": f"100x{after_m}"}
    series = f"{part}{{{labels}}}"
    return Case({series: f"{fires}x{after_m}", **of}, {series: f"{silent}x{after_m}", **of}, after_m)


def age(name: str, limit_m: int, labels: str = NODE) -> Case:
    """A time of which `limit_m` minutes may have passed."""
    series = f"{name}{{{labels}}}"
    return Case({series: f"0x{limit_m + 1}"}, {series: f"60x{limit_m + 1}"}, limit_m + 1)


def counts(name: str, labels: tuple[str, str], rates: tuple[float, float], after_m: int) -> dict[str, str]:
    """Two series of a counter, growing by so much a minute."""
    return {
        f"{name}{{{SERVICE},{each}}}": f"0+{rate}x{after_m}" for each, rate in zip(labels, rates, strict=True)
    }


_REQUESTS = "stemedb_http_requests_total"
_STATUS = ('status="503"', 'status="200"')
_ERRORS = "stemedb_storage_operation_errors_total"
_DONE = "stemedb_storage_operation_duration_seconds_count"
_BUCKET = "stemedb_wal_fsync_latency_seconds_bucket"
_FOLDER = f'{SERVICE},folder="wal"'
_MOUNT = f'{NODE},mountpoint="/backups",device="/dev/vdb",fstype="ext4"'


def _storage_errors(errors: float) -> dict[str, str]:
    operation = f'{SERVICE},operation="fold"'
    return {f"{_ERRORS}{{{operation}}}": f"0+{errors}x20", f"{_DONE}{{{operation}}}": "0+1000x20"}


def _syncs(slow: float) -> dict[str, str]:
    """100 syncs a minute, of which so many take up to 250 ms and the others up to 1 ms."""
    return {
        f'{_BUCKET}{{{SERVICE},le="0.001"}}': f"0+{100 - slow}x30",
        f'{_BUCKET}{{{SERVICE},le="0.1"}}': f"0+{100 - slow}x30",
        f'{_BUCKET}{{{SERVICE},le="0.25"}}': "0+100x30",
        f'{_BUCKET}{{{SERVICE},le="+Inf"}}': "0+100x30",
    }


def _disk(free: float, mount_free: float, after_m: int) -> dict[str, str]:
    return {
        f"stemedb_disk_free_bytes{{{_FOLDER}}}": f"{free}x{after_m}",
        f"stemedb_disk_size_bytes{{{_FOLDER}}}": f"100x{after_m}",
        f"node_filesystem_avail_bytes{{{_MOUNT}}}": f"{mount_free}x{after_m}",
        f"node_filesystem_size_bytes{{{_MOUNT}}}": f"100x{after_m}",
    }


def _log_share(log_bytes: float) -> dict[str, str]:
    return {
        f"stemedb_wal_disk_usage_bytes{{{SERVICE}}}": f"{log_bytes}x61",
        f"stemedb_disk_size_bytes{{{_FOLDER}}}": "100x61",
        f'stemedb_disk_size_bytes{{{SERVICE},folder="db"}}': "100x61",
    }


def _behind(view_seq: int) -> dict[str, str]:
    return {
        f"stemedb_wal_seq{{{SERVICE}}}": "10000x5",
        f"stemedb_view_seq{{{SERVICE}}}": f"{view_seq}x5",
    }


_UP = f"up{{{SERVICE}}}"
_START = f"process_start_time_seconds{{{SERVICE}}}"

CASES: Final[dict[str, Case]] = {
    "StemedbDown": steady("up", SERVICE, 0, 1, 1),
    "StemedbRestarting": Case({_START: "1 1 2 3 4 4 4"}, {_START: "1 1 2 3 3 3 3"}, 6),
    "StemedbMetricsAbsent": Case(
        {_UP: "1x10"}, {_UP: "1x10", f"stemedb_assertions_total{{{SERVICE}}}": "0x10"}, 5
    ),
    "StemedbUnhealthy": steady("stemedb_health_check_ok", f'{SERVICE},check="disk"', 0, 1, 2),
    "StemedbServerErrors": Case(
        counts(_REQUESTS, _STATUS, (6, 94), 20), counts(_REQUESTS, _STATUS, (5, 95), 20), 12
    ),
    "StemedbQueriesSlow": steady("stemedb_query_latency_seconds", f'{SERVICE},quantile="0.99"', 1.1, 1.0, 5),
    "StemedbQueueFull": ratio("stemedb_queue_changes", "stemedb_queue_changes_max", SERVICE, 81, 80, 1),
    "StemedbFileDescriptors": ratio("process_open_fds", "process_max_fds", SERVICE, 81, 80, 5),
    "StemedbFsyncErrors": Case(
        {f"stemedb_wal_fsync_errors_total{{{SERVICE}}}": "0 0 1 1"},
        {f"stemedb_wal_fsync_errors_total{{{SERVICE}}}": "1 1 1 1"},
        3,
    ),
    "StemedbFsyncSlow": Case(_syncs(2), _syncs(0.5), 20),
    "StemedbStorageErrors": Case(_storage_errors(11), _storage_errors(10), 12),
    "StemedbViewBehind": Case(_behind(5903), _behind(5904), 1),
    "StemedbMapFilling": ratio(
        "stemedb_storage_map_used_bytes", "stemedb_storage_map_size_bytes", SERVICE, 81, 80, 10
    ),
    "StemedbSegmentsPilingUp": Case(_log_share(51), _log_share(50), 60),
    "StemedbDiskFilling": Case(_disk(19, 19, 10), _disk(20, 20, 10), 10, ever=2),
    "StemedbDiskFull": Case(_disk(4, 4, 2), _disk(5, 5, 2), 2, ever=2),
    "StemedbInodesLow": ratio("stemedb_disk_inodes_free", "stemedb_disk_inodes", _FOLDER, 9, 10, 10),
    "StemedbMemoryLow": ratio("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes", NODE, 9, 10, 5),
    "StemedbClockOff": Case(
        {
            f"node_timex_offset_seconds{{{NODE}}}": "-0.6x10",
            f"stemedb_clock_behind_log_seconds{{{SERVICE}}}": "61x10",
        },
        {
            f"node_timex_offset_seconds{{{NODE}}}": "-0.5x10",
            f"stemedb_clock_behind_log_seconds{{{SERVICE}}}": "60x10",
            f"node_timex_sync_status{{{NODE}}}": "1x10",
        },
        10,
        ever=2,
    ),
    "StemedbHostUnwatched": steady("up", NODE, 0, 1, 5),
    "StemedbCertificateExpiring": Case(
        {f"stemedb_tls_cert_expiry_seconds{{{NODE}}}": f"{7 * 86400 + 59}x1"},
        {f"stemedb_tls_cert_expiry_seconds{{{NODE}}}": f"{7 * 86400 + 60}x1"},
        1,
    ),
    "StemedbQuarantinePilingUp": steady("stemedb_quarantine_pending", SERVICE, 101, 100, 15),
    "StemedbBreakerOpenLong": steady("stemedb_circuit_breakers_open_longest_seconds", SERVICE, 3601, 3600, 1),
    "StemedbEscalationPending": steady("stemedb_escalations_pending", SERVICE, 1, 0, 5),
    "StemedbBackupOld": age("stemedb_backup_last_success_timestamp_seconds", 26 * HOUR_M),
    "StemedbBackupMissing": Case(
        {_UP: f"1x{26 * HOUR_M}"},
        {f"stemedb_backup_last_success_timestamp_seconds{{{NODE}}}": f"0x{26 * HOUR_M}"},
        26 * HOUR_M,
    ),
    "StemedbBackupUnverified": age("stemedb_backup_verify_last_success_timestamp_seconds", 8 * DAY_M),
    "StemedbArchiveBehind": Case(
        {
            f"stemedb_archive_lag_seconds{{{NODE}}}": "61x8",
            f"stemedb_archive_last_update_timestamp_seconds{{{NODE}}}": "0x8",
        },
        {
            f"stemedb_archive_lag_seconds{{{NODE}}}": "60x8",
            f"stemedb_archive_last_update_timestamp_seconds{{{NODE}}}": "60x8",
        },
        6,
    ),
    "StemedbDrillFailed": steady("stemedb_drill_result", f'{NODE},result="fail"', 1, 0, 1),
    "StemedbDrillOld": age("stemedb_drill_last_success_timestamp_seconds", 8 * DAY_M),
    "StemedbPilotClaimsNear": steady("stemedb_claims", SERVICE, 8001, 8000, 10),
    "StemedbPilotLatencyNear": steady(
        "stemedb_query_latency_seconds", f'{SERVICE},quantile="0.99"', 0.6, 0.5, HOUR_M
    ),
}
