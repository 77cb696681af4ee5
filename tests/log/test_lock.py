"""One server a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stemedb.errors import Locked
from stemedb.log import FolderLock, open_log
from stemedb.log.offline import FolderLog
from tests.log.helpers import SERVER_KEY, make_log, open_small

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from tests.log.helpers import open_small
log = open_small(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(600)
"""


def test_lock_refuses_a_second_holder_and_names_the_first(tmp_path: Path) -> None:
    with (
        closing(FolderLock(tmp_path)),
        pytest.raises(Locked, match=rf"in use by process {os.getpid()}$"),
    ):
        FolderLock(tmp_path)
    FolderLock(tmp_path).close()


def test_lock_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(Locked, match=f"process {holder.pid}"):
            open_small(tmp_path)
        assert FolderLog(tmp_path).head.seq == 1  # reading takes no lock
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with closing(open_small(tmp_path)) as log:
            assert log.head().seq == 1


def test_lock_does_not_trust_a_process_id(tmp_path: Path) -> None:
    """The id in a left-over file may by now be that of any process, even our own."""
    (tmp_path / "lock").write_text(f"{os.getppid()}\n")
    FolderLock(tmp_path).close()
    (tmp_path / "lock").write_text(f"{os.getpid()}\n")
    FolderLock(tmp_path).close()


def test_lock_shared_lets_readers_in_and_no_writer(tmp_path: Path) -> None:
    with (
        closing(FolderLock(tmp_path, shared=True)),
        closing(FolderLock(tmp_path, shared=True)),
        pytest.raises(Locked, match="in use by another process"),
    ):
        FolderLock(tmp_path)
    with closing(FolderLock(tmp_path)), pytest.raises(Locked):
        FolderLock(tmp_path, shared=True)


def test_lock_taken_before_is_the_logs_from_then_on(tmp_path: Path) -> None:

    lock = FolderLock(tmp_path)
    log = open_log(tmp_path, server_key=SERVER_KEY, segment_bytes=16384, lock=lock)
    with closing(log), pytest.raises(Locked):
        open_small(tmp_path)
    open_small(tmp_path).close()


def test_lock_is_let_go_when_opening_fails(tmp_path: Path) -> None:
    make_log(tmp_path, 1)
    (tmp_path / "log.json").write_text("{")
    for _ in range(2):
        with pytest.raises(Exception, match=r"log\.json"):
            open_small(tmp_path)
