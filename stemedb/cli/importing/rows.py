"""Rows of CSV, TSV and NDJSON files, gzipped or not, each with its line number or what is wrong with it."""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import msgspec

from stemedb import limits
from stemedb.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DELIMITERS = {"csv": ",", "tsv": "\t"}
FORMATS = (*DELIMITERS, "ndjson")
ENCODINGS = ("utf-8", "latin-1", "cp1252")  # those in which a line ends with the byte LF
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


class Row(NamedTuple):
    """One row: the line it begins on (from 1), its cells by column name, or the fault that hides them."""

    line: int
    cells: dict[str, Any]
    fault: str | None = None


class Layout(NamedTuple):
    """How a file is written. `columns` names the cells of a file without a header."""

    format: str
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, given: str | None, encoding: str, columns: tuple[str, ...]) -> Layout:
        """Take the format from `given`, else from the suffix (`.gz` aside); raises `Invalid`."""
        suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
        found = given or _SUFFIXES.get(suffixes[-1] if suffixes else "")
        if found is None:
            raise Invalid(
                f"cannot tell the format of {path.name}", hint=f"Say --format {', '.join(FORMATS)}."
            )
        return cls(found, encoding, columns)


class LineFaultError(Exception):
    """A line that cannot be read; reading goes on after it."""


class Lines:
    """The decoded lines of a file. A line that is too long or in another encoding raises once."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        """Read from `stream` without closing it."""
        self._stream = stream
        self._encoding = encoding
        self.number = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self._readline()
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > limits.IMPORT_LINE_BYTES_MAX:
            while line and not line.endswith(b"\n"):
                line = self._readline()
            raise LineFaultError(f"is longer than {limits.IMPORT_LINE_BYTES_MAX} bytes")
        if self.number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")  # what spreadsheets write before UTF-8
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise LineFaultError(f"is not {self._encoding} (byte {error.start})") from None

    def _readline(self) -> bytes:
        try:
            return self._stream.readline(limits.IMPORT_LINE_BYTES_MAX + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise Invalid(f"the file cannot be read beyond line {self.number}: {error}") from error


class RowFile:
    """An open file of rows. A context manager."""

    def __init__(self, path: Path, layout: Layout) -> None:
        """Open `path`; raises `Invalid` if that fails."""
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise Invalid(f"cannot open {path}: {error.strerror}", hint="Check the name.") from error
        status = os.fstat(self._raw.fileno())
        self.size_bytes = status.st_size
        self.modified_at = int(status.st_mtime)  # Unix seconds
        zipped = path.suffix.lower() == ".gz"
        self._stream = cast("BinaryIO", gzip.GzipFile(fileobj=self._raw)) if zipped else self._raw
        self._layout = layout
        self._lines = Lines(self._stream, layout.encoding)
        self._reader = csv.reader(self._lines, delimiter=DELIMITERS.get(layout.format, ","), strict=True)
        try:
            self.columns = None if layout.format == "ndjson" else self._header()
        except Invalid:
            self.close()
            raise

    def __enter__(self) -> RowFile:  # noqa: PYI034 - typing.Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._raw.close()

    def position_bytes(self) -> int:
        """Say how far the file itself has been read, for a progress bar."""
        return self._raw.tell()

    def rows(self) -> Iterator[Row]:
        """Yield every row in order; blank lines are passed over."""
        return self._json_rows() if self._layout.format == "ndjson" else self._csv_rows()

    def _header(self) -> tuple[str, ...]:
        try:
            header = self._layout.columns or tuple(cell.strip() for cell in next(self._reader, []))
        except (LineFaultError, csv.Error) as error:
            raise Invalid(f"the header cannot be read: line 1 {error}") from error
        doubled = sorted({name for name in header if header.count(name) > 1})
        if doubled:
            raise Invalid(f"two columns are called {doubled[0]!r}", hint="Name the columns with --columns.")
        return header

    def _csv_rows(self) -> Iterator[Row]:
        columns = self.columns or ()
        while True:
            line = self._lines.number + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except (LineFaultError, csv.Error) as error:
                yield Row(line, {}, str(error))
                continue
            if len(cells) == len(columns):
                yield Row(line, dict(zip(columns, cells, strict=True)))
            elif cells:
                yield Row(line, {}, f"has {len(cells)} cells, the header {len(columns)}")

    def _json_rows(self) -> Iterator[Row]:
        while True:
            try:
                text = next(self._lines)
            except StopIteration:
                return
            except LineFaultError as error:
                yield Row(self._lines.number, {}, str(error))
                continue
            if text.strip():
                yield _json_row(self._lines.number, text)


def _json_row(line: int, text: str) -> Row:
    try:
        return Row(line, msgspec.json.decode(text, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return Row(line, {}, str(error))
