"""Signatures verified in processes beside the service: the same verdicts, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stemedb import limits
from stemedb.engine.verifiers import Signed, Verifiers, verify_here
from stemedb.model import Signature
from tests.builders import SIGNERS

MANY = 300
WRONG = {0, 7, 149, 150, 299}  # the ends of what each process is asked, and some between
_OWNER = """
import sys, time
from stemedb.engine.verifiers import Verifiers
from tests.engine.test_verifiers import signed
verifiers = Verifiers()
verifiers.verify(signed(300))
print(*verifiers.pids, flush=True)
time.sleep(60)
"""


def signed(count: int, wrong: frozenset[int] | set[int] = frozenset()) -> list[Signed]:
    """Return so many signatures by several agents; those at `wrong` are over something else."""
    found = []
    for number in range(count):
        content_id = number.to_bytes(32, "big")
        signature = SIGNERS[number % len(SIGNERS)].sign(content_id, 1_700_000_000 + number)
        found.append(Signed(bytes(32) if number in wrong and number else content_id, signature))
        if number == 0 and number in wrong:
            found[0] = Signed(content_id, Signature(bytes(32), signature.signature, signature.timestamp))
    return found


def verdicts(count: int) -> list[bool]:
    return [number not in WRONG for number in range(count)]


def lives(pid: int) -> bool:
    """Say whether a process is there and no mere remainder that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while any(map(lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(lives, pids))


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
def verifiers(troubles: list[str]) -> Iterator[Verifiers]:
    made = Verifiers(troubles.append)
    yield made
    made.close()


def test_many_are_verified_in_processes_with_the_same_verdicts(verifiers: Verifiers) -> None:
    many = signed(MANY, WRONG)
    assert verifiers.pids == []
    assert verifiers.verify(many) == verdicts(MANY) == verify_here(many)
    assert len(verifiers.pids) == limits.VERIFIERS
    assert not set(verifiers.pids) & {os.getpid()}


def test_few_start_no_process(verifiers: Verifiers) -> None:
    few = signed(limits.VERIFIED_APART_MIN - 1, {3})
    assert verifiers.verify(few) == [number != 3 for number in range(len(few))]
    assert verifiers.verify([]) == []
    assert verifiers.pids == []


def test_as_many_as_a_chunk_of_claims_may_hold(verifiers: Verifiers) -> None:
    some = signed(64, {5}) * (limits.BULK_CHUNK_LINES_MAX // 4)
    assert verifiers.verify(some) == [number != 5 for number in range(64)] * (len(some) // 64)


def test_each_of_many_threads_gets_its_own_answer(verifiers: Verifiers) -> None:
    def ask(wrong: int) -> bool:
        return verifiers.verify(signed(100, {wrong})) == [number != wrong for number in range(100)]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(1, 60)))


def test_one_that_is_killed_is_named_and_its_part_verified_here(
    verifiers: Verifiers, troubles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = signed(MANY, WRONG)
    verifiers.verify(many)
    first, second = verifiers.pids
    os.kill(first, signal.SIGKILL)
    assert verifiers.verify(many) == verdicts(MANY)
    assert verifiers.verify(many) == verdicts(MANY)
    assert verifiers.pids == [second]
    (trouble,) = troubles
    assert "status -9" in trouble
    monkeypatch.setattr(limits, "VERIFIER_PAUSE_S", 0.0)
    os.kill(second, signal.SIGKILL)
    assert verifiers.verify(many) == verdicts(MANY)
    assert verifiers.verify(many) == verdicts(MANY)
    assert len(troubles) == 2
    (third,) = verifiers.pids
    assert third not in (first, second)


def test_one_that_stands_still_is_waited_for_only_so_long(
    verifiers: Verifiers, troubles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = signed(MANY, WRONG)
    verifiers.verify(many)
    stopped = verifiers.pids[1]
    os.kill(stopped, signal.SIGSTOP)
    monkeypatch.setattr(limits, "VERIFIER_WAIT_S", 0.3)
    assert verifiers.verify(many) == verdicts(MANY)
    assert gone([stopped])
    assert any("timed out" in trouble for trouble in troubles)


def test_where_none_can_be_started_everything_is_verified_here(
    verifiers: Verifiers, troubles: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert verifiers.verify(signed(MANY, WRONG)) == verdicts(MANY)
    assert len(troubles) == limits.VERIFIERS
    assert all("No such file" in trouble for trouble in troubles)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_group_of_processes_is_left_to_the_service(
    verifiers: Verifiers, troubles: list[str], number: signal.Signals
) -> None:
    many = signed(MANY, WRONG)
    verifiers.verify(many)
    pids = verifiers.pids
    for pid in pids:
        assert os.getsid(pid) == pid  # and so Ctrl-C does not reach it at all
        os.kill(pid, number)
    assert verifiers.verify(many) == verdicts(MANY)
    assert verifiers.pids == pids
    assert troubles == []


def test_they_know_nothing_of_the_service(verifiers: Verifiers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "one")
    with Path(__file__).open() as kept:
        os.set_inheritable(kept.fileno(), True)  # noqa: FBT003 - by position only
        verifiers.verify(signed(MANY))
        for pid in verifiers.pids:
            assert Path(f"/proc/{pid}/environ").read_bytes() == b""
            assert sorted(each.name for each in Path(f"/proc/{pid}/fd").iterdir()) == ["0", "1", "2"]


def test_closing_ends_them_and_later_questions_are_answered_here(
    verifiers: Verifiers, troubles: list[str]
) -> None:
    many = signed(MANY, WRONG)
    verifiers.verify(many)
    pids = verifiers.pids
    verifiers.close()
    verifiers.close()
    assert gone(pids)
    assert verifiers.verify(many) == verdicts(MANY)
    assert verifiers.pids == []
    assert troubles == []


def test_they_end_when_their_owner_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pids = [int(each) for each in owner.stdout.readline().split()]
        assert len(pids) == limits.VERIFIERS
        assert all(map(lives, pids))
        owner.kill()
    assert gone(pids)
