"""An engine that dies at a named step: `crash_child.py FOLDER POINT NTH`. Prints what it acknowledged."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from stemedb.engine import CREATED, open_engine
from stemedb.engine.changes import Outcome
from stemedb.engine.engine import Engine
from stemedb.store import View
from tests.builders import checked, number
from tests.durability.small import small_settings

THREADS = 4
CLAIMS = 150
INSIDE_FOLD = "inside_fold"


class Killer:
    """Kills this process, as the kernel would, when a point is reached for the nth time."""

    def __init__(self, point: str, nth: int) -> None:
        self._point = point
        self._left = nth
        self._lock = threading.Lock()

    def at(self, point: str) -> None:
        """Count down."""
        if point == self._point:
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)


def kill_inside_folds(killer: Killer) -> None:
    """Let the fold reach a point after each record it put into its transaction."""
    view_module = sys.modules[View.__module__]
    fold_record = vars(view_module)["fold_record"]

    def folding(*arguments: object) -> int:
        added: int = fold_record(*arguments)
        killer.at(INSIDE_FOLD)
        return added

    vars(view_module)["fold_record"] = folding


def write(engine: Engine, run: str, thread: int) -> None:
    """Write claims and print what was acknowledged."""
    for at in range(CLAIMS):
        for outcome in engine.submit([checked(subject=run, predicate=f"{thread}-{at}", object=number(at))]):
            assert isinstance(outcome, Outcome)
            assert outcome.status == CREATED
            os.write(1, f"{outcome.id.hex()} {outcome.seq}\n".encode())


def main() -> None:
    """Write from some threads until the point is reached."""
    folder, point, nth = sys.argv[1:]
    killer = Killer(point, int(nth))
    kill_inside_folds(killer)
    engine = open_engine(small_settings(Path(folder)), faults=killer)
    run = f"{point}-{nth}"
    threads = [threading.Thread(target=write, args=(engine, run, thread)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()


if __name__ == "__main__":
    main()
