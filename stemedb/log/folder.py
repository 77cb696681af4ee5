"""What a log's folder holds: log.json and the segment files, whose headers must fit together.

Nothing here writes, and nothing looks into the frames.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

import msgspec

from stemedb.errors import Corrupt
from stemedb.limits import LOG_READ_CHUNK_BYTES
from stemedb.log.frames import FORMAT_VERSION, HEADER_BYTES, LOG_ID_BYTES, BadHeader, Header, decode_header
from stemedb.log.segments import RESTORE, Segment, Segments

META_NAME: Final = "log.json"
SEGMENT_SUFFIX: Final = ".wal"
TEMPORARY_SUFFIX: Final = ".tmp"


class Meta(msgspec.Struct, frozen=True):
    """What log.json holds: which log this folder is."""

    log_id: str
    format: int


def segment_name(offset: int) -> str:
    """Name the segment whose first byte has this place in the whole log."""
    return f"{offset:016x}{SEGMENT_SUFFIX}"


def read_meta(folder: Path) -> Meta | None:
    """Read log.json; None where there is none.

    Raises:
        Corrupt: it cannot be read as one, or a later version wrote it.
    """
    path = folder / META_NAME
    try:
        meta = msgspec.json.decode(path.read_bytes(), type=Meta)
        if len(bytes.fromhex(meta.log_id)) != LOG_ID_BYTES:
            raise ValueError("log_id is not 16 bytes")  # noqa: TRY301 - as any other value that does not fit
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, ValueError) as error:
        raise Corrupt(f"{path}: {error}", code="log_meta", ways_out=(RESTORE,)) from None
    if meta.format > FORMAT_VERSION:
        raise_newer(path, f"format version {meta.format}; this one reads {FORMAT_VERSION}")
    return meta


def raise_newer(path: Path, detail: str) -> NoReturn:
    """Refuse what a later version wrote."""
    raise Corrupt(
        f"{path}: {detail}",
        code="log_format_newer",
        ways_out=("start the version that wrote it, or a later one", "restore a backup made by this version"),
    )


def segment_paths(folder: Path) -> list[Path]:
    """List the segment files in the order of the log."""
    return sorted(path for path in folder.iterdir() if path.suffix == SEGMENT_SUFFIX)


def open_segments(folder: Path, meta: Meta | None) -> Segments:
    """Check which segments are there by their headers, and that none is missing between them.

    Raises:
        Corrupt: a segment is missing, foreign, of a later version, or its header is damaged.
    """
    paths = segment_paths(folder)
    if meta is None:
        raise Corrupt(
            f"{folder / META_NAME} is missing, though there are segments beside it",
            code="log_meta",
            ways_out=(RESTORE, f"put {META_NAME} back; its content was {_meta_from(paths)}"),
        )
    log_id = bytes.fromhex(meta.log_id)
    if not paths or paths[0].name != segment_name(0):
        raise_missing(folder / segment_name(0), f"{META_NAME} is there, its first segment is not")
    segments = Segments(folder, log_id, [], None)
    for path in paths:
        header = _read_header(path, interruptible=path == paths[-1] and len(paths) > 1)
        if header is None:
            segments.interrupted = path
            continue
        _check_place(path, header, segments)
        segments.items.append(Segment(path, header))
    return segments


def _meta_from(paths: list[Path]) -> str:
    """Say what log.json held, by the first segment that can tell."""
    for path in paths:
        with path.open("rb") as file, suppress(BadHeader):
            meta = Meta(decode_header(file.read(HEADER_BYTES)).log_id.hex(), FORMAT_VERSION)
            return msgspec.json.encode(meta).decode()
    return "lost, no segment has a whole header"


def raise_missing(path: Path, detail: str) -> NoReturn:
    """Refuse a folder without a segment that must be there."""
    raise Corrupt(
        f"{path} is missing: {detail}",
        code="log_segment_missing",
        ways_out=("put the file back", RESTORE),
    )


def _read_header(path: Path, *, interruptible: bool) -> Header | None:
    """Read a segment's header; None for one that was never finished and holds nothing."""
    with path.open("rb") as file:
        block = file.read(HEADER_BYTES)
        try:
            return decode_header(block)
        except BadHeader as error:
            if error.newer:
                raise_newer(path, str(error))
            # A header is synced before the file gets its name, so a file with content had a whole one.
            if interruptible and not any_content(file):
                return None
            raise Corrupt(f"{path}: {error}", code="log_header", ways_out=(RESTORE,)) from None


def any_content(file: BinaryIO) -> bool:
    """Say whether anything but zeros follows."""
    return any(chunk.strip(b"\0") for chunk in iter(lambda: file.read(LOG_READ_CHUNK_BYTES), b""))


def _check_place(path: Path, header: Header, before: Segments) -> None:
    """Check that a segment belongs to this log and follows the one before it."""
    if header.log_id != before.log_id:
        raise Corrupt(
            f"{path} belongs to log {header.log_id.hex()}, this folder to {before.log_id.hex()}",
            code="log_segment_foreign",
            ways_out=("move the file away and put the right one back", RESTORE),
        )
    if path.name != segment_name(header.offset):
        raise Corrupt(
            f"{path} was {segment_name(header.offset)} when it was written",
            code="log_header",
            ways_out=("give the file its name back", RESTORE),
        )
    if not before.items:
        return
    last = before.items[-1]
    size = last.path.stat().st_size
    if header.offset > last.header.offset + size:
        detail = f"{path.name} begins with record {header.first_seq}, {last.path.name} ends before"
        raise_missing(before.folder / segment_name(last.header.offset + size), detail)
    if header.first_seq < last.header.first_seq:
        raise Corrupt(f"{path}: first record out of order", code="log_header", ways_out=(RESTORE,))
