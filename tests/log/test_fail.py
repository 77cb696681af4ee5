"""A disk that fails or is full: nothing is acknowledged, a failed sync is never tried again."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stemedb.errors import StorageFailed, Unavailable
from stemedb.log import Draft, LocalLog
from tests.log.helpers import check_all, drafts, fill, open_small, segment_files

ROOT = Path(__file__).parents[2]


def descriptor_of(path: Path) -> int:
    """Find this process's open descriptor of a file."""
    links = Path("/proc/self/fd").iterdir()
    return next(int(link.name) for link in links if os.path.realpath(link) == str(path))


def put_in_place(log_path: Path, device: str) -> None:
    """Let the log's descriptor lead to a device that fails below Python."""
    replacement = os.open(device, os.O_RDWR)
    os.dup2(replacement, descriptor_of(log_path))
    os.close(replacement)


def assert_dead(log: LocalLog) -> None:
    for call in (log.head, lambda: log.append([Draft(2, b"")]), lambda: log.read(1, 1)):
        with pytest.raises(StorageFailed):
            call()
    with pytest.raises(StorageFailed):
        log.wait(0, 0)


def test_append_that_cannot_sync_ends_the_log(tmp_path: Path) -> None:
    with closing(open_small(tmp_path)) as log:
        fill(log, 5)
        put_in_place(segment_files(tmp_path)[0], "/dev/null")  # takes every write, and fdatasync fails
        with pytest.raises(StorageFailed, match="syncing"):
            log.append(drafts(17, 3))
        assert_dead(log)
    with closing(open_small(tmp_path)) as log:
        check_all(log, 16)
        assert log.head().seq == 16


class Failing:
    """Fails with an I/O error at one point, once."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.armed = False
        self.synced = 0

    def at(self, point: str) -> None:
        self.synced += point == "after_sync"
        if point == self.point and self.armed:
            self.armed = False
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("point", ["half_frame", "before_sync", "rotate_header", "rotate_rename", "dir_sync"])
def test_append_that_fails_midway_ends_the_log_and_loses_nothing(tmp_path: Path, point: str) -> None:
    faults = Failing(point)
    with closing(open_small(tmp_path, faults=faults)) as log:
        fill(log, 5)
        faults.armed = True
        synced = faults.synced
        with pytest.raises(StorageFailed):
            fill(log, 100)
        acknowledged = 16 + 3 * (faults.synced - synced)
        assert_dead(log)
    with closing(open_small(tmp_path, known_seq=acknowledged)) as log:
        check_all(log, acknowledged)
        fill(log, 30)
        check_all(log, acknowledged + 90)


def test_append_without_room_is_refused_and_heals(tmp_path: Path) -> None:
    with closing(open_small(tmp_path)) as log:
        fill(log, 5)
        path = segment_files(tmp_path)[0]
        kept = os.dup(descriptor_of(path))
        put_in_place(path, "/dev/full")  # every write fails with ENOSPC
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                fill(log, 1)
            assert caught.value.reason == "no_space"
            assert caught.value.retry_after_s
        check_all(log, 16)
        full = descriptor_of(Path("/dev/full"))
        os.dup2(kept, full)
        os.close(kept)
        fill(log, 2)
        check_all(log, 22)
    with closing(open_small(tmp_path)) as log:
        check_all(log, 22)


LIMITED = """
import resource, sys
from contextlib import closing
from pathlib import Path
from stemedb.errors import Unavailable
from tests.log.helpers import check_all, fill, open_small

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

with closing(open_small(Path(sys.argv[1]))) as log:
    fill(log, 2)
    limit(12 * 1024)  # less than a segment: neither the next one nor the end of this one can be written
    refused = 0
    while refused < 3:
        try:
            fill(log, 1)
        except Unavailable as error:
            assert error.reason == "no_space"
            refused += 1
            check_all(log, 7)
    seq = log.head().seq
    limit(resource.RLIM_INFINITY)
    fill(log, 30)
    check_all(log, seq + 90)
    assert log.head().seq == seq + 90
print("healed", seq)
"""


def test_append_under_a_file_size_limit_is_refused_and_heals(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("healed"), done.stderr
    with closing(open_small(tmp_path)) as log:
        check_all(log, 90)


CUT_OFF = """
import resource, sys
from contextlib import closing
from pathlib import Path
from stemedb.errors import Unavailable
from stemedb.log import Draft
from tests.log.helpers import open_small

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

batch = [Draft(2, bytes([65 + i]) * 500) for i in range(20)]
with closing(open_small(Path(sys.argv[1]))) as log:
    limit(12 * 1024)  # in the middle of the batch
    try:
        log.append(batch)
    except Unavailable:
        limit(resource.RLIM_INFINITY)
        log.append(batch[:1])
        print("cut off", log.head().seq)
"""


def test_append_cut_off_by_a_full_disk_leaves_nothing_of_itself(tmp_path: Path) -> None:
    """What was written of it would fit behind a shorter batch in its place, as if it had been accepted."""
    done = subprocess.run(
        [sys.executable, "-c", CUT_OFF, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "cut off 2\n", done.stderr
    with closing(open_small(tmp_path)) as log:
        assert log.head().seq == 2
        assert log.recovery.cut_bytes == 0


def test_read_never_shows_what_is_not_yet_synced(tmp_path: Path) -> None:
    class Peeking:
        log: LocalLog | None = None
        seen: list[int]

        def at(self, point: str) -> None:
            if point == "before_sync" and self.log is not None:
                records = self.log.read(1, 1000)
                self.seen.append(records[-1].seq)
                assert self.log.head().seq == records[-1].seq
                assert not self.log.wait(records[-1].seq, 0)

    faults = Peeking()
    faults.seen = []
    with closing(open_small(tmp_path, faults=faults)) as log:
        faults.log = log
        fill(log, 3)
    assert faults.seen == [1, 4, 7]


def test_open_names_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="cannot be opened"):
        open_small(tmp_path / "file" / "below")
