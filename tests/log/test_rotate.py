"""Going on in a new segment: order, names, sizes, and what an interrupted rotation leaves."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

from stemedb.log import Draft, open_log
from stemedb.log.frames import HEADER_BYTES, decode_header
from tests.log.helpers import (
    SMALL_SEGMENT_BYTES,
    check_all,
    copy_of,
    fill,
    make_log,
    open_small,
    segment_files,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_rotate_names_segments_by_their_offset(tmp_path: Path) -> None:
    make_log(tmp_path, batches=100)
    paths = segment_files(tmp_path)
    assert len(paths) > 3
    offset = 0
    seq = 0
    for path in paths:
        header = decode_header(path.read_bytes()[:HEADER_BYTES])
        assert path.name == f"{offset:016x}.wal"
        assert header.offset == offset
        assert header.first_seq > seq
        offset += path.stat().st_size
        seq = header.first_seq
    assert paths[-1].stat().st_size == SMALL_SEGMENT_BYTES


def test_rotate_leaves_no_batch_in_two_segments(tmp_path: Path) -> None:
    with closing(open_small(tmp_path)) as log:
        firsts = {log.append([Draft(2, b"x" * 700)] * 7).first_seq for _ in range(30)}
    for path in segment_files(tmp_path)[1:]:
        assert decode_header(path.read_bytes()[:HEADER_BYTES]).first_seq in firsts


def test_rotate_gives_a_large_batch_a_large_segment(tmp_path: Path) -> None:
    with closing(open_small(tmp_path)) as log:
        fill(log, 2)
        log.append([Draft(2, bytes([i]) * 100_000) for i in range(10)])
        fill(log, 20)
        assert [record.body[:1] for record in log.read(8, 10)] == [bytes([i]) for i in range(10)]
    with closing(open_small(tmp_path, known_seq=77)) as log:
        assert log.head().seq == 77
        assert log.usage().segments == len(segment_files(tmp_path))


def test_rotate_finds_the_next_segment_prepared(tmp_path: Path) -> None:
    """Made in the background each time: a rotation never waits for 64 MiB of zeros to be begun."""

    class Listening:
        threads: list[str]

        def at(self, point: str) -> None:
            if point in ("rotate_prepare", "seal"):
                self.threads.append(threading.current_thread().name)

    faults = Listening()
    faults.threads = []
    with closing(open_small(tmp_path, faults=faults)) as log:
        fill(log, 100)
        rotations = log.usage().segments - 1
        assert rotations > 3
        assert set(faults.threads) == {"log-segments"}
        assert len(faults.threads) >= 2 * rotations - 1


def test_usage_counts_files_and_their_bytes(tmp_path: Path) -> None:
    with closing(open_small(tmp_path)) as log:
        assert log.usage() == (1, SMALL_SEGMENT_BYTES)
        fill(log, 100)
        usage = log.usage()
        assert usage.segments == len(segment_files(tmp_path))
        assert usage.bytes >= (usage.segments - 1) * SMALL_SEGMENT_BYTES // 2


def test_append_tells_what_each_batch_took(tmp_path: Path) -> None:
    seen: list[tuple[float, int, int]] = []
    with closing(open_log(tmp_path, server_key=bytes(32), on_batch=lambda *batch: seen.append(batch))) as log:
        log.append([Draft(2, b"x"), Draft(2, b"12345678")])
    ((sync_s, records, size),) = seen
    assert sync_s > 0
    assert (records, size) == (2, 80 + 80)


def test_open_removes_an_interrupted_rotation(tmp_path: Path) -> None:
    make_log(tmp_path, batches=60)
    paths = segment_files(tmp_path)
    used = len(paths[-1].read_bytes().rstrip(b"\0"))
    offset = int(paths[-1].stem, 16) + used + -used % 8
    for content in (b"", bytes(100), bytes(SMALL_SEGMENT_BYTES), b"STEMEWAL" + bytes(SMALL_SEGMENT_BYTES)):
        folder = copy_of(tmp_path, tmp_path.with_name(f"with {len(content)}"))
        (folder / f"{offset:016x}.wal").write_bytes(content)
        (folder / "next.tmp").write_bytes(content)
        with closing(open_small(folder, known_seq=181)) as log:
            assert log.recovery.removed == (f"{offset:016x}.wal", "next.tmp")
            fill(log, 30)
            check_all(log, 181 + 90)


def test_open_cuts_a_sealed_segment_that_was_left_uncut(tmp_path: Path) -> None:
    make_log(tmp_path, batches=60)
    first = segment_files(tmp_path)[0]
    size = first.stat().st_size
    with first.open("ab") as file:
        file.write(bytes(SMALL_SEGMENT_BYTES - size))
    with closing(open_small(tmp_path)) as log:
        check_all(log, 181)
    assert first.stat().st_size == size
