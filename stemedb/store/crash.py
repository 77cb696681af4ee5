"""What a crash inside LMDB leaves behind, and how the next start makes use of it.

A damaged page can end the process inside the library: a signal, no exception, no exit status of ours.
Python's fault handler notes such an end in a file. The next start finds the note and checks the whole view
before LMDB touches it: damage then ends the start as `Corrupt`, with a way out, instead of another crash.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stemedb import limits
from stemedb.store.pages import DATA_NAME, check_pages

NOTE_NAME: Final = "crash.txt"


def arm(folder: Path) -> None:
    """Let a crash of this process by SIGSEGV, SIGBUS, SIGABRT, SIGFPE or SIGILL be noted in `folder`.

    For the whole process, for as long as it lives: to be called by its entry point.
    """
    # Unbuffered, and kept open by the fault handler: there is no time for anything when it is needed.
    fd = os.open(folder / NOTE_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    faulthandler.enable(fd)


def check_before_opening(folder: Path, progress: Callable[[str], None]) -> None:
    """Check the view's pages if the last process crashed, or if the view is small enough not to be noticed.

    Raises:
        Corrupt: a page or row of the view is damaged.
    """
    note, data = folder / NOTE_NAME, folder / DATA_NAME
    crashed = note.exists() and note.stat().st_size > 0
    if data.exists() and (crashed or data.stat().st_size <= limits.VIEW_START_CHECK_BYTES_MAX):
        progress("checking the view" + (" after a crash" if crashed else ""))
        check_pages(folder, progress=progress)
    if crashed:
        note.replace(note.with_suffix(".last.txt"))
