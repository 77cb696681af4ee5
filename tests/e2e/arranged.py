"""A service whose storage opens or fails when a test says so; everything else is the real thing.

Run as a program: `python -m tests.e2e.arranged FOLDER`. It opens the engine when FOLDER/open exists and
reports a failed write when FOLDER/fail does, with that file's text in the error.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from unittest.mock import patch

import stemedb.cli.server
from stemedb.engine import Engine
from stemedb.engine import open_engine as really_open

FOLDER = Path(sys.argv[1])


def _wait_for(name: str) -> None:
    while not (FOLDER / name).exists():
        time.sleep(0.01)


def _fail_when_told(engine: Engine) -> None:
    _wait_for("fail")
    engine.fail(OSError(f"the disk is gone {(FOLDER / 'fail').read_text()}".rstrip()))


def open_engine(settings: object, *, progress: object, **others: object) -> Engine:
    """Open the engine as the service does, after a long recovery."""
    assert callable(progress)
    progress("replaying 12 of 100")
    _wait_for("open")
    engine = really_open(settings, progress=progress, **others)  # type: ignore[arg-type]  # passed through
    threading.Thread(target=_fail_when_told, args=(engine,), daemon=True).start()
    return engine


if __name__ == "__main__":
    sys.argv = ["stemedb-api"]
    with patch("stemedb.cli.server.open_engine", open_engine):
        stemedb.cli.server.main()
