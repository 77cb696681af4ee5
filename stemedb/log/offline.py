"""Reading a log's folder without the server: head, dump, hashes.

Takes no lock and changes nothing, so it may run beside a running server; it sees the log as of its opening.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stemedb.errors import NotFound
from stemedb.log.checks import check_from, check_page
from stemedb.log.folder import META_NAME, open_segments, read_meta, segment_paths
from stemedb.log.protocol import Head, Record
from stemedb.log.recovery import Progress, survey


class FolderLog:
    """A log's folder, read only.

    Raises:
        NotFound: there is no log in the folder.
        Corrupt: a part of the log is damaged, missing, foreign or from a later version.
    """

    def __init__(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Check which segments there are and find the log's end."""
        meta = read_meta(folder) if folder.is_dir() else None
        if meta is None and not (folder.is_dir() and segment_paths(folder)):
            raise NotFound(
                f"{folder} holds no log (no {META_NAME})", hint="Name the folder of STEMEDB_WAL_DIR."
            )
        self._segments = open_segments(folder, meta)
        self.tail = survey(self._segments, 0, progress)

    @property
    def log_id(self) -> bytes:
        """The random 16 bytes that name the log."""
        return self._segments.log_id

    @property
    def head(self) -> Head:
        """The last whole record's seq, chain value and time."""
        return self.tail.head

    def records(self, from_seq: int = 1) -> Iterator[Record]:
        """Give every record from `from_seq` on, each checked.

        Raises:
            Invalid: `from_seq` is below 1.
            Corrupt: a record is not what was written.
        """
        check_from(from_seq)
        for frames in self._segments.frames(from_seq, self.head.seq, self.head.seq):
            for frame in frames:
                yield frame.record

    def hashes(self, from_seq: int, to_seq: int) -> list[bytes]:
        """Give one page of frame hashes; see `Log.hashes`."""
        check_page(from_seq, to_seq, self.head.seq)
        pages = self._segments.frames(from_seq, to_seq, self.head.seq)
        return [frame.digest for frames in pages for frame in frames]
