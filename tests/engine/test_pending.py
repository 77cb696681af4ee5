"""Who waits for a change is told once, whether it asks before or after the writer is done."""

from __future__ import annotations

import threading

import pytest

from stemedb.engine import Outcome
from stemedb.engine.pending import Pending
from stemedb.errors import Conflict, StorageFailed
from tests.builders import checked

DONE = Outcome(bytes(32), 2, "created", 2)


def test_a_call_is_made_once_by_the_one_who_tells() -> None:
    pending, calls = Pending().carry([checked()]), list[str]()
    pending.when_told(lambda: calls.append(threading.current_thread().name))
    assert calls == []
    pending.results = [DONE]
    for _ in range(2):
        teller = threading.Thread(target=pending.tell, name="teller")
        teller.start()
        teller.join()
    assert calls == ["teller"]
    assert pending.outcome() == DONE


def test_who_asks_late_is_called_at_once() -> None:
    pending, calls = Pending().carry([checked()]), list[str]()
    pending.results = [DONE]
    pending.tell()
    pending.when_told(lambda: calls.append("called"))
    assert calls == ["called"]


def test_asking_and_telling_at_the_same_time_make_one_call() -> None:
    for _ in range(300):
        pending, calls = Pending().carry([checked()]), list[str]()
        both = threading.Barrier(2)

        def tell(pending: Pending = pending, both: threading.Barrier = both) -> None:
            both.wait()
            pending.tell()

        teller = threading.Thread(target=tell)
        teller.start()
        both.wait()
        pending.when_told(lambda calls=calls: calls.append("called"))  # type: ignore[misc]
        teller.join()
        assert calls == ["called"]


def test_what_became_of_it_can_be_asked_for_again() -> None:
    pending = Pending().carry([checked()])
    pending.results = [Conflict("no")]
    pending.tell()
    for _ in range(2):
        with pytest.raises(Conflict):
            pending.outcome()
    failed = Pending().carry([checked()])
    failed.error = StorageFailed("the disk said no")
    failed.tell()
    for _ in range(2):
        with pytest.raises(StorageFailed):
            failed.wait()
