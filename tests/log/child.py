"""A process that appends to a log and dies at a named step: `child.py FOLDER POINT NTH`.

It prints the seq of each batch that was acknowledged.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.log.helpers import drafts, open_small

BATCHES = 400


class Killer:
    """Kills this process, as the kernel would, when a point is reached for the nth time."""

    def __init__(self, point: str, nth: int) -> None:
        self._point = point
        self._left = nth

    def at(self, point: str) -> None:
        """Count down."""
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Append until the point is reached."""
    folder, point, nth = sys.argv[1:]
    log = open_small(Path(folder), faults=Killer(point, int(nth)))
    for i in range(BATCHES):
        batch = drafts(log.head().seq + 1, 1 + i % 5)
        position = log.append(batch)
        os.write(1, b"%d\n" % (position.first_seq + len(batch) - 1))


if __name__ == "__main__":
    main()
