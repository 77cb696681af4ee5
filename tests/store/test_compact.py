"""Moving the view to a new file: nothing of what was erased stays, nothing else changes, nobody waits."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from stemedb.log import Record
from stemedb.model.records import ErasureRecord, RecordType, encode_assertion, encode_body
from stemedb.store import View
from stemedb.store.pages import check_pages
from tests.builders import checked, text

ROOT = Path(__file__).parents[2]
LOG_ID = bytes(16)


def secret(number: int) -> str:
    return f"the secret of claim {number};"


def claim_record(seq: int, repeat: int) -> Record:
    claim = checked(subject=f"subject {seq}", object=text(secret(seq) * repeat))
    return Record(seq, seq * 10, RecordType.ASSERTION, encode_assertion(claim.canonical, claim.signatures))


def erasure_record(seq: int, gone: list[int], sizes: list[int]) -> Record:
    ids = tuple(checked(subject=f"subject {n}", object=text(secret(n) * sizes[n])).id for n in gone)
    body = ErasureRecord(ids, tuple(gone), "a wish", "admin")
    return Record(seq, seq * 10, RecordType.ERASURE, encode_body(body))


def held(folder: Path, gone: list[int]) -> list[int]:
    """Return which secrets any file below `folder` still holds."""
    data = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return [number for number in gone if secret(number).encode() in data]


def no_more(_copy: View) -> None:
    """Follow a log that has nothing new."""


def fill(view: View, chance: random.Random) -> tuple[list[int], list[int]]:
    """Fold claims of all sizes in batches, erase some; return the seqs that are gone, and the sizes."""
    sizes = [chance.choice((1, 3, 40, 100, 300)) for _ in range(301)]
    seq = 1
    while seq <= 300:
        batch = [
            claim_record(each, sizes[each]) for each in range(seq, min(301, seq + chance.randint(1, 40)))
        ]
        view.fold(LOG_ID, batch)
        seq += len(batch)
    gone = sorted(chance.sample(range(1, 301), 60))
    for number in gone:
        view.fold(LOG_ID, [erasure_record(seq, [number], sizes)])
        seq += 1
    return gone, sizes


@pytest.mark.parametrize("seed", range(3))
def test_compact_leaves_nothing_erased_and_changes_nothing_else(tmp_path: Path, seed: int) -> None:
    with closing(View(tmp_path)) as view:
        gone, sizes = fill(view, random.Random(seed))
        assert held(tmp_path, gone)
        assert view.compact_since() == 301 * 10
        digest = view.digest()
        view.compact(no_more)
        assert held(tmp_path, gone) == []
        assert held(tmp_path, [n for n in range(1, 301) if n not in gone]) != []
        assert view.compact_since() is None
        assert view.digest() == digest
        view.fold(LOG_ID, [claim_record(361, 3), erasure_record(362, [361], [*sizes, *[3] * 61])])
        assert view.compact_since() == 3620
        view.compact(no_more)
        assert held(tmp_path, [361]) == []
        digest = view.digest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.mdb", "lock.mdb"]
    check_pages(tmp_path)
    with closing(View(tmp_path)) as view:
        assert (view.digest(), view.applied_seq) == (digest, 362)


def test_compact_takes_in_what_was_folded_meanwhile(tmp_path: Path) -> None:
    with closing(View(tmp_path / "view")) as view, closing(View(tmp_path / "other")) as other:
        records = [claim_record(seq, 3) for seq in range(1, 41)]
        erased = erasure_record(41, [5], [3] * 40)
        view.fold(LOG_ID, records[:20])
        calls: list[int] = []

        def follow(copy: View) -> None:
            if not calls:
                view.fold(LOG_ID, [*records[20:], erased])
            calls.append(copy.applied_seq)
            copy.fold(LOG_ID, [each for each in [*records, erased] if each.seq > copy.applied_seq])

        view.compact(follow)
        assert calls == [20, 41]
        other.fold(LOG_ID, [*records, erased])
        assert view.digest() == other.digest()
        # The copy met the claim before its erasure: its file holds the bytes again.
        assert view.compact_since() == 410
        view.fold(LOG_ID, [*records, erased, claim_record(42, 1)])
        assert view.applied_seq == 42


def test_readers_and_writers_go_on_while_compacting(tmp_path: Path) -> None:
    with closing(View(tmp_path)) as view:
        records = [claim_record(seq, 30) for seq in range(1, 201)]
        view.fold(LOG_ID, records)
        done = threading.Event()
        failures: list[Exception] = []

        def read() -> None:
            try:
                while not done.is_set():
                    with view.snapshot() as snapshot:
                        assert snapshot.claim(checked(subject="subject 7", object=text(secret(7) * 30)).id)
                        assert sum(1 for _ in snapshot.walk("subject 9", None)) == 1
            except Exception as error:  # noqa: BLE001 - whatever a reader meets fails the test
                failures.append(error)

        def write() -> None:
            try:
                while not done.is_set():
                    seq = view.applied_seq + 1
                    added = claim_record(seq, 1)
                    records.append(added)
                    view.fold(LOG_ID, [added])
            except Exception as error:  # noqa: BLE001
                failures.append(error)

        threads = [
            threading.Thread(target=read),
            threading.Thread(target=read),
            threading.Thread(target=write),
        ]
        for thread in threads:
            thread.start()
        for _ in range(8):
            view.compact(lambda copy: copy.fold(LOG_ID, records[copy.applied_seq :]))
        done.set()
        for thread in threads:
            thread.join()
        assert not failures
        with view.snapshot() as old:
            view.compact(no_more)
            assert old.state.applied_seq == view.applied_seq
        assert view.claims_count == len(records)
    check_pages(tmp_path)


@pytest.mark.parametrize("step", range(5))
def test_open_after_a_kill_inside_the_exchange(tmp_path: Path, step: int) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "tests.store.test_compact", str(tmp_path), str(step)],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    assert child.returncode == -SIGKILL, child.stderr
    with closing(View(tmp_path)) as view:
        assert view.digest() == child.stdout.decode()
        assert view.applied_seq == 50
        view.fold(LOG_ID, [claim_record(51, 1)])
        assert not (tmp_path / "compact").exists()
        view.compact(no_more)
        assert view.claims_count == 51
    check_pages(tmp_path)


def _dying(real: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    """Return what stands for a function, and kills this process before call `left` of all that share it."""

    def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the real one takes
        if left[0] == 0:
            os.kill(os.getpid(), SIGKILL)
        left[0] -= 1
        return real(*args, **options)

    return call


def _die_in_exchange(folder: Path, step: int) -> None:
    """Begin to move a view of 50 claims to a new file; die before a step of putting it in place."""
    view = View(folder)
    view.fold(LOG_ID, [claim_record(seq, 3) for seq in range(1, 51)])
    os.write(1, view.digest().encode())
    calls = iter((False, True))

    def follow(_copy: View) -> None:
        if next(calls):
            left = [step]
            # Of a path its own methods: on Python 3.10 they do not look the system's functions up again.
            for owner, name in ((Path, "unlink"), (Path, "rename"), (os, "fsync"), (shutil, "rmtree")):
                setattr(owner, name, _dying(getattr(owner, name), left))

    view.compact(follow)


if __name__ == "__main__":
    _die_in_exchange(Path(sys.argv[1]), int(sys.argv[2]))
