"""`stemedb import`: files of claims."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from stemedb import limits
from stemedb.cli.importing import FIELDS, Import, Layout, Mapping, RowFile
from stemedb.cli.importing.mapping import TYPES
from stemedb.cli.importing.rows import ENCODINGS, FORMATS
from stemedb.cli.output import note, print_json, safe
from stemedb.cli.session import connected
from stemedb.errors import StemedbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stemedb.cli.importing import Summary
    from stemedb.cli.session import Session

INTERRUPTED = 130

FIELD_HELP = {
    "subject": "What each claim is about.",
    "predicate": "Which property of it; =born_in makes it the same for all rows.",
    "object": "The value claimed; an empty one is passed over.",
    "type": f"How to read the value: {', '.join(TYPES)} (text).",
    "confidence": "How sure, 0 to 1; a number stands for itself (1).",
    "timestamp": "When it was claimed; a time stands for itself (the file's).",
    "source": "Who claims it: the name of the key to sign with.",
    "source_class": "The tier; a tier's name stands for itself (by subject's scheme).",
    "source_hash": "Hash of the evidence, hex.",
    "lifecycle": "The stage; a stage's name stands for itself (Proposed).",
}

EXAMPLE = """\b
Example:
  stemedb import claims.csv --subject obj --predicate =born_in --object value --source src
  stemedb import gates.tsv.gz --columns src,flight,gate --subject '=flight/{flight}' \\
      --predicate =gate --object gate --source src --timestamp 2011-12-08
"""


def _field_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add one option for each field of a claim."""
    for field, meaning in reversed(FIELD_HELP.items()):
        name = "--" + field.replace("_", "-")
        command = click.option(name, f"map_{field}", metavar="COLUMN|=TEXT", help=meaning)(command)
    return command


@click.command("import", epilog=EXAMPLE)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_field_options
@click.option(
    "--as", "signed_by", metavar="NAME", help="Sign every row with this one key instead of its source's."
)
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Format (else by suffix, .gz aside).")
@click.option("--columns", metavar="A,B,...", help="Names of the columns of a file without a header.")
@click.option("--encoding", type=click.Choice(ENCODINGS), default="utf-8", show_default=True)
@click.option("--strip", is_flag=True, help="Take white space off around every value.")
@click.option("--from-line", type=click.IntRange(1), default=1, help="Pass over the lines before this one.")
@click.option(
    "--patience-s",
    type=float,
    default=limits.IMPORT_PATIENCE_S,
    show_default=True,
    help="Wait for a lost server.",
)
@connected
def import_(  # noqa: PLR0913 - one parameter an option
    *,
    session: Session,
    file: Path,
    signed_by: str | None,
    format_: str | None,
    columns: str | None,
    encoding: str,
    strip: bool,
    from_line: int,
    patience_s: float,
    as_json: bool,
    **mapped: str | None,
) -> int:
    """Import the claims of FILE (CSV, TSV or NDJSON, also gzipped), each signed with the key of its source.

    A field of a claim comes from a COLUMN, or is =TEXT in which {column} stands for that column's cell. A
    field not mentioned comes from the column of the same name. Values are text unless --type says otherwise
    (text, number, boolean, reference, guess); JSON numbers and booleans are what they are. Without a time in
    the row or --timestamp, the file's modification time is taken, so that a second run makes the same ids.

    Sources get a key each in the key ring, made when missing. Rows with an empty object are passed over.
    Rows of NDJSON that carry signatures (as `query --all --json` prints them) are sent as they were signed.
    Running the same command again is harmless: what is stored already is recognised.

    Exit status: 0 all rows in, 1 lines refused (each is listed), 75 server lost, 130 interrupted.
    """
    given = {field: text for field in FIELDS if (text := mapped[f"map_{field}"]) is not None}
    names = tuple(columns.split(",")) if columns else ()
    if signed_by is not None and "source" in given:
        raise click.UsageError("--as signs every row with one key: --source does not go with it")
    with RowFile(file, Layout.of(file, format_, encoding, names)) as rows:
        mapping = Mapping(given, rows.columns, strip=strip)
        if signed_by is None and not mapping.names_source():
            raise click.UsageError("nothing says who claims the rows: say --source COLUMN or --as NAME")
        ring = session.keyring()
        if signed_by is not None:
            ring.signer(signed_by)  # a name given by hand is not made up
        work = Import(mapping, ring, default_timestamp=rows.modified_at, signed_by=signed_by)
        wanted = (row for row in rows.rows() if row.line >= from_line)
        with session.client(patience_s=patience_s) as client, progress_bar(rows) as progress:
            return run(work, lambda: work.run(wanted, client, progress), as_json=as_json)


def run(work: Import, start: Callable[[], object], *, as_json: bool) -> int:
    """Run an import to its end or its interruption, print what became of it, and return the exit code."""
    summary = work.summary
    began_s = time.perf_counter()
    stopped: StemedbError | None = None
    try:
        start()
    except KeyboardInterrupt:
        summary.interrupted = True
    except StemedbError as error:
        stopped = error
    print_summary(summary, time.perf_counter() - began_s, as_json=as_json)
    if summary.interrupted or stopped is not None:
        note(
            f"stopped after line {summary.done_line}; run the same command again to go on "
            f"(or with --from-line {summary.done_line + 1}): what is stored already is recognised"
        )
    if stopped is not None:
        raise stopped
    if summary.interrupted:
        return INTERRUPTED
    return 1 if summary.refused else 0


def print_summary(summary: Summary, took_s: float, *, as_json: bool) -> None:
    """Print what became of the rows; refused lines each on a line of stderr."""
    if as_json:
        print_json({**msgspec.to_builtins(summary), "seconds": round(took_s, 3)})
        return
    click.echo(
        f"{summary.rows} rows of {summary.sources} sources: {summary.created} created, "
        f"{summary.exists} existed, {summary.endorsed} endorsed, {summary.empty} empty, "
        f"{summary.refused} refused ({took_s:.1f} s)"
    )
    if summary.quarantined:
        note(f"{summary.quarantined} are held back until an administrator has looked at them")
    for refusal in summary.refusals:
        note(f"line {refusal.line}: {safe(refusal.reason)}")
    if summary.refused > len(summary.refusals):
        note(f"... and {summary.refused - len(summary.refusals)} more")


@contextmanager
def progress_bar(rows: RowFile) -> Iterator[Callable[[], None]]:
    """Show how much of the file is read, on a terminal only; yields what is to be called after each batch."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to load: only a terminal pays for it
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    shape = (
        TextColumn("importing"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*shape, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("import", total=rows.size_bytes)
        yield lambda: bar.update(task, completed=rows.position_bytes())
