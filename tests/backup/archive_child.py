"""A process that archives a log and dies at a named step: `archive_child.py SOURCE TARGET POINT NTH`."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from stemedb.backup import Archiver
from tests.backup.helpers import SIGNER
from tests.log.child import Killer


def main() -> None:
    """Take step after step until the point is reached, or nothing is left to copy."""
    source, target, point, nth = sys.argv[1:]
    with closing(Archiver(Path(source), Path(target), SIGNER, faults=Killer(point, int(nth)))) as archiver:
        archiver.step()


if __name__ == "__main__":
    main()
