"""Processes that open a data folder and answer every question about it; each may die of what it finds there.

Reads lines `FOLDER CHECKED` and answers each with a line: `answers HEX`, `refused CODE DETAIL`, `died SIGNAL`
or `ended ERROR`. With CHECKED 0 the view is not checked before it is opened, as a large one is not.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec
from blake3 import blake3

from stemedb import limits
from stemedb.engine import Engine, open_engine
from stemedb.errors import Corrupt
from stemedb.query import ask, parse_question
from stemedb.store import crash
from tests.durability.ledger import logged
from tests.durability.small import small_settings

ENDLESS_S = 5
NOW_S = 1_760_000_000
SUBJECTS = tuple(f"code://subject/{number:02}" for number in range(20))


def answers(engine: Engine, wal_dir: Path) -> str:
    """Return a hash of the answers to every question there is, and of every claim by its id."""
    hasher = blake3()
    for subject in SUBJECTS:
        cursor: str | None = None
        while True:
            parameters = {"subject": [subject], "predicate": ["*"], "limit": ["1000"]}
            found = ask(
                engine.view, parse_question(parameters | ({"cursor": [cursor]} if cursor else {})), NOW_S
            )
            hasher.update(msgspec.json.encode(found.reply))
            cursor = getattr(found.reply, "next_cursor", None)
            if cursor is None:
                break
    with engine.view.snapshot() as snapshot:
        for claim_id, _ in logged(wal_dir):
            hasher.update(repr(snapshot.claim(bytes.fromhex(claim_id))).encode())
    hasher.update(engine.view.digest().encode())
    return hasher.hexdigest()


def answer(folder: Path) -> str:
    """Open the folder as the service does and answer."""
    try:
        (folder / "db").mkdir(parents=True, exist_ok=True)
        crash.arm(folder / "db")
        engine = open_engine(small_settings(folder))
        return f"answers {answers(engine, folder / 'wal')}"
    except Corrupt as error:
        return f"refused {error.reason} {error.detail} | {'; '.join(error.ways_out)}"


def answer_apart(folder: Path, *, checked: bool) -> str:
    """Do it in a process of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        if not checked:
            vars(limits)["VIEW_START_CHECK_BYTES_MAX"] = -1
        # A damaged tree may lead in circles: the service's watchdog would end it so.
        signal.setitimer(signal.ITIMER_REAL, ENDLESS_S)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        try:
            said = answer(folder)
        except Exception as error:  # noqa: BLE001 - what else there is, the test wants to see
            said = f"ended {error!r}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return f"died {os.WTERMSIG(status)}"
    return found.replace("\n", " ") or f"ended {os.waitstatus_to_exitcode(status)}"


def main() -> None:
    """Answer line by line."""
    for line in sys.stdin:
        folder, checked = line.rsplit(maxsplit=1)
        sys.stdout.write(answer_apart(Path(folder), checked=checked == "1") + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
