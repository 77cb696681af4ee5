"""Metrics: their names, the sliding window, and that two servers share nothing."""

from __future__ import annotations

import builtins
import io
import json
import logging
import math
import os
import platform
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from stemedb import limits
from stemedb.telemetry import (
    TEXTFILE_METRICS,
    LatencyWindow,
    LogSink,
    Sample,
    Telemetry,
    make_logger,
    textfile,
)

NAMES = (
    "stemedb_query_latency_seconds",
    "stemedb_query_duration_seconds",
    "stemedb_assertions_total",
    "stemedb_assertions_ingested_total",
    "stemedb_queries_total",
    "stemedb_wal_fsync_latency_seconds",
    "stemedb_wal_fsync_errors_total",
    "stemedb_wal_batch_size",
    "stemedb_wal_bytes_written_total",
    "stemedb_wal_segments",
    "stemedb_wal_disk_usage_bytes",
    "stemedb_wal_recovery_duration_seconds",
    "stemedb_storage_operation_duration_seconds",
    "stemedb_storage_operation_errors_total",
    "stemedb_http_requests_total",
    "stemedb_requests_rejected_total",
    "stemedb_query_timeout_total",
    "stemedb_circuit_breakers_open",
    "process_resident_memory_bytes",
)
DOCUMENTED = re.compile(r"^\| `(\w+)` \| (\w+) \|", re.MULTILINE)


def families(text: str) -> dict[str, str]:
    """Return the kind of every metric of a text."""
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))


def test_every_metric_has_its_name() -> None:
    telemetry = Telemetry("1.2.3")
    telemetry.count_assertions(0)
    text = telemetry.exposition().decode()
    assert set(NAMES) <= set(families(text))
    assert "_created" not in text
    assert f'stemedb_build_info{{python="{platform.python_version()}",version="1.2.3"}} 1.0' in text


def test_every_metric_is_documented() -> None:
    telemetry = Telemetry()
    telemetry.count_assertions(0)
    shown = families(telemetry.exposition().decode())
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()
    ours = page.partition("## What host jobs write")[0]
    assert dict(DOCUMENTED.findall(ours)) == {
        name: kind for name, kind in shown.items() if name.startswith("stemedb_")
    }


def test_shows_the_process_where_the_boot_time_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    # As the unit's ProcSubset=pid does; the tests of a host see it done.
    real = builtins.open

    def hidden(path: str, *args: Any, **options: Any) -> object:  # noqa: ANN401  (as open's)
        if path == "/proc/stat":
            raise FileNotFoundError(path)
        return real(path, *args, **options)

    monkeypatch.setattr(builtins, "open", hidden)
    text = Telemetry().exposition().decode()
    found = re.search(r"^process_start_time_seconds (\S+)$", text, re.MULTILINE)
    assert found
    assert Path("/proc/self").stat().st_ctime == pytest.approx(float(found[1]), abs=60)


def test_claims_are_counted_from_what_was_there_and_never_down() -> None:
    telemetry = Telemetry()
    assert "stemedb_assertions_total" not in telemetry.exposition().decode()
    telemetry.count_assertions(5)
    telemetry.note_created(2)
    text = telemetry.exposition().decode()
    assert "stemedb_assertions_total 7.0" in text
    assert "stemedb_assertions_ingested_total 2.0" in text


def test_latency_is_a_summary_of_the_last_minutes() -> None:
    now = 0.0
    window = LatencyWindow(lambda: now)
    assert math.isnan(window.quantile(0.5))
    for number in range(100):
        window.observe(number / 100)
    assert (window.quantile(0.5), window.quantile(0.99)) == (0.5, 0.99)
    now = limits.LATENCY_WINDOW_S + 1
    window.observe(7.0)
    assert (window.quantile(0.5), window.quantile(0.99)) == (7.0, 7.0)


def test_latency_has_the_quantile_as_its_only_label() -> None:
    telemetry = Telemetry()
    telemetry.query_latency.observe(0.25)
    text = telemetry.exposition().decode()
    assert 'stemedb_query_latency_seconds{quantile="0.99"} 0.25' in text
    assert "stemedb_query_latency_seconds_count 1.0" in text


def test_two_instances_share_nothing() -> None:
    one, other = Telemetry(), Telemetry()
    one.ingested.inc()
    one.count_assertions(5)
    other.count_assertions(0)
    assert "stemedb_assertions_ingested_total 0.0" in other.exposition().decode()
    assert "stemedb_assertions_total 5.0" in one.exposition().decode()
    assert "stemedb_assertions_total 0.0" in other.exposition().decode()


def test_a_log_line_is_one_line_of_json_whatever_is_in_it() -> None:
    stream = io.BytesIO()
    sink = LogSink(stream)
    log = make_logger(logging.INFO, sink.write)
    log.info("request", path='a\nb\r"\x1b[31m\u2028', status=200)
    log.debug("unseen")
    sink.close()
    (text,) = stream.getvalue().decode().splitlines()
    assert json.loads(text)["path"] == 'a\nb\r"\x1b[31m\u2028'
    assert {"event", "level", "time"} <= set(json.loads(text))


def test_a_reader_of_the_log_that_hangs_holds_nobody() -> None:
    read_fd, write_fd = os.pipe()
    sent_count = 3 * limits.LOG_LINES_MAX
    with os.fdopen(read_fd, "rb") as reading:
        with os.fdopen(write_fd, "wb") as writing:
            sink = LogSink(writing)
            for _ in range(sent_count):  # nobody reads yet, and yet this ends
                sink.write(b"x" * 100)
            lines: list[bytes] = []
            reader = threading.Thread(target=lambda: lines.extend(reading))
            reader.start()
            sink.close(20.0)
        reader.join()
    told = [json.loads(line) for line in lines if line.startswith(b"{")]
    assert {each["event"] for each in told} == {"log lines dropped"}
    assert len(lines) - len(told) + sum(each["count"] for each in told) == sent_count


def test_textfiles_of_backups_are_documented_and_read_by_others() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()
    theirs = dict(DOCUMENTED.findall(page.partition("## What host jobs write")[2]))
    assert dict.fromkeys(TEXTFILE_METRICS, "gauge").items() <= theirs.items()
    text = textfile([Sample("stemedb_archive_seq", 7), Sample("stemedb_drill_result", 1, {"result": "pass"})])
    assert families(text.decode()) == {"stemedb_archive_seq": "gauge", "stemedb_drill_result": "gauge"}
    assert b'stemedb_drill_result{result="pass"} 1.0' in text
