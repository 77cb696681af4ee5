"""One walk over an archived log that checks all there is to check, and gives what it read on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final, NamedTuple

from stemedb.backup.points import Points
from stemedb.backup.reading import Chunk, LogReader, Place
from stemedb.backup.redacting import Erasing, erasings
from stemedb.backup.signatures import SignatureCheck
from stemedb.errors import Corrupt

_TRIES: Final = 4  # an erasure may just be overwriting a body
_PAUSE_S: Final = 0.25
_RETRIED: Final = "log_damaged"

Take = Callable[[Chunk], None]
Progress = Callable[[int, int], None]
"""Told the bytes done and the bytes there are."""


class Walked(NamedTuple):
    """What a walk found whole: where it ended, records, redacted ones, signatures, and what erases what."""

    place: Place
    records_count: int
    redacted_count: int
    signatures_count: int
    erased: list[Erasing]


def walk(
    points: Points,
    *,
    since: Place | None = None,
    take: Take = lambda _chunk: None,
    stop_at: int | None = None,
    signatures: bool = True,
    progress: Progress = lambda _done, _total: None,
) -> Walked:
    """Read the archive from `since` (else its beginning) to its head, and give each chunk to `take`.

    Frames, chain, headers, the chain values of every manifest and of the head, signatures of agents, and that
    only what an erasure names is redacted. A chunk never goes beyond `stop_at`, so that its taker can.

    Raises:
        Corrupt: something is not what was written; the detail says what.
        OSError: a file cannot be read.
    """
    with (
        closing(LogReader(points.wal, points.log_id, since)) as reader,
        closing(SignatureCheck()) as check,
    ):
        return _Walk(points, reader, check if signatures else None, progress).run(take, stop_at)


class _Walk:
    def __init__(
        self, points: Points, reader: LogReader, check: SignatureCheck | None, progress: Progress
    ) -> None:
        self._points = points
        self._reader = reader
        self._check = check
        self._progress = progress
        self._erased: list[Erasing] = []
        self._redacted: set[int] = set()
        self._first_seq = reader.place.head.seq
        self._total = sum(path.stat().st_size for path in points.wal.glob("*.wal"))

    def run(self, take: Take, stop_at: int | None) -> Walked:
        vouched: Mapping[int, str] = {
            **self._points.manifest_heads(),
            self._points.head.seq: self._points.head.chain.hex(),
        }
        stops = sorted({*vouched, *([stop_at] if stop_at else [])})
        for stop in (each for each in stops if each > self._first_seq):
            self._read_to(stop, take)
            if stop in vouched and self._reader.place.head.chain.hex() != vouched[stop]:
                raise Corrupt(
                    f"{self._points.wal}: up to record {stop} this is not the history that was signed",
                    code="log_chain",
                    ways_out=("use another copy of the backups",),
                )
        blanked = self._redacted.difference(*(each.seqs for each in self._erased))
        if blanked:
            detail = f"{self._points.wal}: record {min(blanked)} is overwritten, but no record erases it"
            raise Corrupt(detail, code="bad_backup", ways_out=("use another copy of the backups",))
        place = self._reader.place
        count = self._check.finish() if self._check else 0
        done = place.head.seq - self._first_seq
        return Walked(place, done, len(self._redacted), count, self._erased)

    def _read_to(self, stop: int, take: Take) -> None:
        tries = 0
        while self._reader.place.head.seq < stop:
            before = self._reader.place
            try:
                self._read(stop, take)
            except Corrupt as error:
                tries = tries + 1 if self._reader.place == before else 1
                if error.reason != _RETRIED or tries >= _TRIES:
                    raise
                time.sleep(_PAUSE_S)

    def _read(self, stop: int, take: Take) -> None:
        for chunk in self._reader.chunks(stop):
            self._note(chunk)
            take(chunk)

    def _note(self, chunk: Chunk) -> None:
        self._redacted.update(record.seq for record in chunk.records if record.redacted)
        self._erased.extend(erasings(chunk.records))
        if self._check is not None:
            self._check.add(chunk.records)
        self._progress(self._reader.place.end, self._total)
