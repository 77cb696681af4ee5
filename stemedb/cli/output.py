"""What is printed: JSON, tables on a terminal, tab-separated lines in a pipe, one line for an error.

What others claimed is text from strangers: control characters in it are shown, never obeyed.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click
import msgspec

from stemedb import limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stemedb.errors import StemedbError
    from stemedb.model.wire import ValueOut

# C0, DEL, C1, line separators, and the marks that reorder what stands around them.
_UNSHOWABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NARROW_CHARS = 10  # a day, a confidence, the first digits of an id


def safe(text: str) -> str:
    """Return `text` with everything that a terminal would act on written as an escape."""
    return _UNSHOWABLE.sub(lambda match: ascii(match.group())[1:-1], text)


def short(text: str) -> str:
    """Return `text` safe and cut to what a table cell can bear."""
    cut = text[: limits.SHOWN_TEXT_CHARS_MAX]
    return safe(cut) + ("..." if len(text) > len(cut) else "")


def shown_value(value: ValueOut) -> str:
    """Return a claim's object as a person writes it."""
    if isinstance(value.value, bool):
        return "true" if value.value else "false"
    if isinstance(value.value, float):
        return f"{value.value:.15g}"
    return short(str(value.value))


def print_json(value: object) -> None:
    """Print `value` as one indented JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_json_line(value: object) -> None:
    """Print `value` as one line of NDJSON."""
    click.echo(msgspec.json.encode(value))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Print a table on a terminal; in a pipe a header and tab-separated lines, cells whole."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            click.echo("\t".join(row))
        return
    if not rows:
        note("nothing found")
        return
    # rich is slow to load: only a terminal pays for it.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(title) if title else None,
        title_justify="left",
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for at, column in enumerate(columns):
        # On a narrow terminal long texts fold first: half an id or half a date is of no use.
        narrow = all(len(cell) <= _NARROW_CHARS for cell in (column, *(row[at] for row in rows)))
        table.add_column(column, overflow="fold", no_wrap=narrow)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def note(text: str) -> None:
    """Print one line beside the result: to stderr, so that a pipe gets results only."""
    click.echo(safe(text), err=True)


def print_error(error: StemedbError) -> None:
    """Print the one line that an error is: what, then what to do."""
    what = safe(error.detail)
    stop = "" if what.endswith((".", "?", "!")) else "."
    hint = safe(error.hint)
    click.echo(f"stemedb: {what}{stop} {hint[:1].upper()}{hint[1:]}".rstrip(), err=True)
