"""Archiving: the log's files copied, byte for byte, as soon as they are on stable storage at home.

Whatever stops it, the state file says no more than what the archive holds durably. It reads beside the
writer and takes no lock of the log. Anything that goes wrong ends an `Archiver`; a new one takes up where the
state file says.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from stemedb.backup import redacting
from stemedb.backup.layout import STATE_NAME, ArchiveState, plain_head, read_state, write_state
from stemedb.backup.reading import Chunk, LogReader, Place, segment_before
from stemedb.backup.writing import ArchiveWriter
from stemedb.errors import Corrupt, Locked, Unavailable
from stemedb.limits import ARCHIVE_STATE_EVERY_S
from stemedb.log import FolderLock
from stemedb.log.files import Faults, write_file
from stemedb.log.folder import META_NAME, Meta, read_meta, segment_name, segment_paths
from stemedb.log.frames import FORMAT_VERSION
from stemedb.log.segments import SEQ_MAX
from stemedb.log.synced import Synced, read_synced
from stemedb.model import Signer
from stemedb.model.history import sign_head

FAULT_POINTS = ("archive_write", "archive_sync", "archive_state", "archive_redact", "archive_done")
"""Steps at which a fault hook is called."""

MOVE_AWAY = "keep this archive and give the log another one: move the folder away, and start again"


class Archiver:
    """Keeps the archive in `target` of the log in `source`. Holds the archive's lock until `close`."""

    def __init__(
        self,
        source: Path,
        target: Path,
        signer: Signer,
        *,
        alive: Callable[[], None] = lambda: None,
        faults: Faults | None = None,
    ) -> None:
        """Take the archive over, or begin one where there is none. `alive` is called in long work.

        Raises:
            Locked: another process keeps this archive.
            Unavailable: nothing says yet what of the log is synced.
            Corrupt: the archive is another log's, or damaged.
            OSError: a folder cannot be used.
        """
        self._source = source
        self._target = target
        self._signer = signer
        self._alive = alive
        self._faults = faults
        self._log_id = _synced(source).log_id
        target.mkdir(mode=0o700, exist_ok=True)
        self._lock = FolderLock(target)
        try:
            self._begin()
        except BaseException:
            self._lock.close()
            raise

    def _begin(self) -> None:
        meta = read_meta(self._target)
        if meta is None and not segment_paths(self._target):
            meta = Meta(self._log_id.hex(), FORMAT_VERSION)
            write_file(self._target / META_NAME, msgspec.json.encode(meta) + b"\n")
        state = read_state(self._target / STATE_NAME, ArchiveState)
        if meta is None or meta.log_id != self._log_id.hex():
            whose = "no log's" if meta is None else f"log {meta.log_id}'s"
            detail = f"{self._target} is {whose} archive, the log here is {self._log_id.hex()}"
            raise Corrupt(detail, code="foreign_archive", ways_out=(MOVE_AWAY,))
        self._caught_up_at = self._written_at = self._erased_seq = 0
        if state is not None:
            self._place = Place(state.base, state.offset, plain_head(state.head))
            self._caught_up_at, self._erased_seq = state.caught_up_at, state.erased_seq
            self._check_end()
            self._trim()
        else:
            self._place = self._adopted()
        self._pending = []
        if self._erased_seq < self._place.head.seq:
            self._pending = redacting.erasings_between(self._target, self._erased_seq, self._place.head.seq)

    def _adopted(self) -> Place:
        """Find how far an archive goes that lost its state file; what is whole is kept, and synced."""
        with closing(LogReader(self._target, self._log_id)) as reader:
            with suppress(Corrupt):
                for _ in reader.chunks(SEQ_MAX):
                    self._alive()
            for path in segment_paths(self._target):
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            return reader.place

    def _check_end(self) -> None:
        """Check that the files are there as far as the state says: a disk may have been exchanged."""
        path = self._target / segment_name(self._place.base)
        size = path.stat().st_size if path.exists() else 0
        if size < self._place.offset:
            detail = f"{path} has {size} bytes, {self._place.offset} were archived"
            ways_out = (f"remove {self._target / STATE_NAME}: the log is then archived anew",)
            raise Corrupt(detail, code="bad_backup", ways_out=ways_out)

    @property
    def seq(self) -> int:
        """The last record archived."""
        return self._place.head.seq

    @property
    def end(self) -> int:
        """Where in the whole log (bytes) the archive ends."""
        return self._place.end

    def step(self) -> None:
        """Copy what was synced since the last step, and carry out what was erased.

        Raises:
            Unavailable: the log says less than the archive holds, as it may before the service has started.
            Corrupt: the log cannot be read, or has another history than the archive.
            OSError: a folder or file cannot be read or written.
        """
        looked_at = time.time_ns() // 1000
        synced = _synced(self._source)
        self._require_same_log(synced)
        if synced.head.seq > self._place.head.seq:
            self._copy(synced)
        if self._pending:
            self._redact()
        self._caught_up_at = looked_at
        if self._caught_up_at - self._written_at > ARCHIVE_STATE_EVERY_S * 1_000_000:
            self._write_state()

    def close(self) -> None:
        """Let the archive go."""
        self._lock.close()

    def _require_same_log(self, synced: Synced) -> None:
        if synced.log_id != self._log_id:
            detail = f"{self._target} is log {self._log_id.hex()}'s archive, here is {synced.log_id.hex()}"
            raise Corrupt(detail, code="foreign_archive", ways_out=(MOVE_AWAY,))
        head = self._place.head
        if synced.head.seq < head.seq:
            raise Unavailable(
                f"the archive holds record {head.seq}, the log says that it ends with {synced.head.seq}",
                hint="Start the service. If records were cut off or lost: " + MOVE_AWAY,
            )
        if synced.head.seq == head.seq and synced.head.chain != head.chain:
            self._refuse_history()

    def _refuse_history(self) -> None:
        detail = f"the log has another history than its archive in {self._target}"
        raise Corrupt(detail, code="foreign_archive", ways_out=(MOVE_AWAY,))

    def _copy(self, synced: Synced) -> None:
        """Copy up to what is synced; only then the state moves, at a segment's end too."""
        found: list[redacting.Erasing] = []
        with (
            closing(LogReader(self._source, self._log_id, self._place)) as reader,
            closing(ArchiveWriter(self._target, self._faults)) as writer,
        ):
            for chunk in self._chunks(reader, synced.head.seq):
                if chunk.offset == 0 and writer.written:
                    # The header's chain value vouches for what was read before it.
                    writer.sync()
                    self._move(Place(chunk.base, 0, reader.place.head), found)
                writer.write(chunk)
                self._alive()
                found.extend(redacting.erasings(chunk.records))
            if reader.place.head.chain != synced.head.chain:
                self._refuse_history()
            writer.sync()
            self._move(reader.place, found)

    def _chunks(self, reader: LogReader, upto_seq: int) -> Iterator[Chunk]:
        try:
            yield from reader.chunks(upto_seq)
        except (Corrupt, OSError):
            if self._other_history():
                self._refuse_history()
            raise

    def _other_history(self) -> bool:
        """Say whether the log can be read up to the archive's last record, and had another history there."""
        head = self._place.head
        try:
            place = segment_before(self._source, self._log_id, head.seq)
            with closing(LogReader(self._source, self._log_id, place)) as reader:
                for _ in reader.chunks(head.seq):
                    self._alive()
                return reader.place.head != head
        except (Corrupt, OSError):
            return False

    def _move(self, place: Place, found: list[redacting.Erasing]) -> None:
        self._place = place
        self._pending.extend(found)
        found.clear()
        if not self._pending:
            self._erased_seq = place.head.seq
        self._write_state()

    def _redact(self) -> None:
        try:
            redacting.redact_archive(self._target, self._pending)
            self._reached("archive_redact")
            redacting.drop_views(self._target.parent, self._pending)
        except Locked:
            return  # a snapshot is being made; at the next step
        self._pending.clear()
        self._erased_seq = self._place.head.seq
        self._write_state()
        self._reached("archive_done")

    def _write_state(self) -> None:
        now = time.time_ns() // 1000
        place = self._place
        if not place.head.seq:
            return
        head = sign_head(self._signer, self._log_id, place.head.seq, place.head.chain, place.head.time)
        state = ArchiveState(head, place.base, place.offset, self._erased_seq, self._caught_up_at, now)
        self._reached("archive_state")
        write_state(self._target / STATE_NAME, state)
        self._written_at = now

    def _trim(self) -> None:
        """Cut off what an earlier process wrote and did not vouch for any more."""
        for path in reversed(segment_paths(self._target)):
            if path.name > segment_name(self._place.base):
                path.unlink()
        last = self._target / segment_name(self._place.base)
        if last.exists() and last.stat().st_size > self._place.offset:
            os.truncate(last, self._place.offset)

    def _reached(self, point: str) -> None:
        if self._faults is not None:
            self._faults.at(point)


def _synced(source: Path) -> Synced:
    found = read_synced(source)
    if found is None:
        raise Unavailable(
            f"nothing in {source} says what is on stable storage",
            code="not_synced",
            hint="Start the service: it says so from then on. Is this the folder of STEMEDB_WAL_DIR?",
        )
    return found
