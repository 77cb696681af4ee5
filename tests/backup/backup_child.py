"""A process that makes a backup, or restores one, and dies at a named step.

`backup_child.py create WAL DB BACKUPS POINT` or `backup_child.py restore WAL DB BACKUPS POINT`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stemedb.backup.create import Source, create
from stemedb.backup.points import read_points
from stemedb.backup.restore import Wanted, restore
from tests.backup.helpers import SIGNER
from tests.log.child import Killer


def main() -> None:
    """Do it until the point is reached."""
    what, wal, db, backups, point = sys.argv[1:]
    faults = Killer(point, 1)
    if what == "create":
        create(Source(Path(wal), Path(db), SIGNER, "test"), Path(backups), faults=faults)
    else:
        points = read_points(Path(backups), frozenset({SIGNER.agent_id}))
        restore(points, Wanted(Path(wal), Path(db), None), faults=faults)


if __name__ == "__main__":
    main()
