"""Frames that end exactly where a read of the file does: the walk must go on behind them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from stemedb.limits import LOG_READ_CHUNK_BYTES, LOG_READ_FIRST_BYTES
from stemedb.log import Draft, Log, open_log
from stemedb.log.frames import FRAME_BYTES_MIN
from stemedb.log.verify import verify
from tests.log.helpers import SERVER_KEY

SEGMENT_BYTES = 3 * LOG_READ_CHUNK_BYTES


@pytest.mark.parametrize("frame_bytes", [128, 1024, 4096, LOG_READ_FIRST_BYTES, LOG_READ_CHUNK_BYTES])
@pytest.mark.parametrize("shift", [-8, 0, 8])
def test_reads_go_on_where_a_buffer_ends_with_a_frame(tmp_path: Path, frame_bytes: int, shift: int) -> None:
    body_bytes = frame_bytes + shift - FRAME_BYTES_MIN
    count = max(3, 2 * SEGMENT_BYTES // frame_bytes)
    with closing(open_log(tmp_path, server_key=SERVER_KEY, segment_bytes=SEGMENT_BYTES)) as log:
        # The genesis is no multiple of anything: reads that begin behind it have frames on their borders.
        for first in range(0, count, 500):
            bodies = [b"%d" % seq for seq in range(first, min(first + 500, count))]
            log.append([Draft(2, body.ljust(body_bytes, b".")) for body in bodies])
        assert log.usage().segments > 1
        expected = list(range(1, count + 2))
        assert read_all(log) == expected
        for seq in expected[:: max(1, count // 200)]:
            assert log.read(seq, 1)[0].seq == seq
    with closing(open_log(tmp_path, server_key=SERVER_KEY, segment_bytes=SEGMENT_BYTES)) as log:
        assert log.head().seq == count + 1
        assert read_all(log) == expected
    assert verify(tmp_path).whole


def read_all(log: Log) -> list[int]:
    found: list[int] = []
    while records := log.read(len(found) + 1, 10_000):
        found += [record.seq for record in records]
    return found
