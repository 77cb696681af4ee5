"""Work done again and again by several threads, flat out or at a steady pace, and how long it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stemedb.errors import StemedbError

Work = Callable[[], object]
Progress = Callable[[float], None]
"""Is told, several times a second, what part of the time has passed, 0..1."""

_LOOK_S = 0.1


class Times(NamedTuple):
    """How work went: how often within how many seconds, and how long it took each time (seconds).

    `late`: how often it began later than its pace wanted by a whole turn or more, because the work before
    it was not done.
    """

    done: int
    seconds: float
    p50_s: float
    p99_s: float
    late: int = 0
    failures: tuple[str, ...] = ()

    @property
    def per_s(self) -> float:
        """How often a second."""
        return self.done / self.seconds if self.seconds else 0.0


class _Tally:
    """What the threads of one trial note."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.late = 0
        self.failures: list[str] = []

    def do(self, work: Work, began: float) -> None:
        """Do it once; `began` is when it should have begun, by `time.perf_counter`."""
        try:
            work()
        except StemedbError as error:
            self.failures.append(error.detail)
        else:
            self.took.append(time.perf_counter() - began)

    def times(self, seconds: float) -> Times:
        """Return the whole."""
        took = sorted(self.took)
        if not took:
            return Times(0, seconds, 0.0, 0.0, self.late, tuple(self.failures))
        p99 = took[min(len(took) - 1, len(took) * 99 // 100)]
        return Times(len(took), seconds, took[len(took) // 2], p99, self.late, tuple(self.failures))


def flat_out(works: Sequence[Work], seconds: float, progress: Progress = lambda _: None) -> Times:
    """Do each of `works` in a thread of its own, as often as it goes, for `seconds`."""

    def run(work: Work, tally: _Tally, until: float) -> None:
        while (began := time.perf_counter()) < until:
            tally.do(work, began)

    return _run(run, works, seconds, progress)


def paced(works: Sequence[Work], per_s: float, seconds: float, progress: Progress = lambda _: None) -> Times:
    """Do `works`, each in a thread of its own, `per_s` times a second in all, for `seconds`.

    Each turn has its moment, and how long it took counts from there: a service that falls behind shows it.
    """
    every_s = len(works) / per_s
    places = {id(work): place / per_s for place, work in enumerate(works)}

    def run(work: Work, tally: _Tally, until: float) -> None:
        moment = time.perf_counter() + places[id(work)]
        while moment < until:
            ahead_s = moment - time.perf_counter()
            if ahead_s > 0:
                time.sleep(ahead_s)
            elif ahead_s < -every_s:
                tally.late += 1
            tally.do(work, moment)
            moment += every_s

    return _run(run, works, seconds, progress)


def _run(
    run: Callable[[Work, _Tally, float], None], works: Sequence[Work], seconds: float, progress: Progress
) -> Times:
    tally = _Tally()
    began = time.perf_counter()
    threads = [
        threading.Thread(target=run, args=(work, tally, began + seconds), daemon=True) for work in works
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        progress(min(1.0, (time.perf_counter() - began) / seconds))
        threads[0].join(_LOOK_S) if threads[0].is_alive() else time.sleep(_LOOK_S)
    return tally.times(time.perf_counter() - began)
