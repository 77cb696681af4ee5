"""`stemedb logs`: the service's own log, as people read it."""

from __future__ import annotations

import click

from stemedb import limits
from stemedb.cli.journal import LEVELS, Wanted, lines_of_file, lines_of_journal, parsed, shown
from stemedb.cli.output import print_json_line, safe
from stemedb.cli.session import json_option


@click.command(
    epilog="\b\nExample:\n  stemedb logs --slow\n  stemedb logs --request-id 7f3a --file service.log\n"
)
@click.option("--file", "path", metavar="FILE", help="Read a file of log lines; - is standard input.")
@click.option("--unit", default="stemedb-api", show_default=True, help="The journal's unit to read.")
@click.option(
    "--lines",
    "count",
    type=click.IntRange(1, limits.LOG_SHOWN_LINES_MAX),
    default=limits.LOG_SHOWN_LINES_DEFAULT,
    show_default=True,
    help="How far back to begin in the journal.",
)
@click.option("--since", metavar="TIME", help="Begin in the journal there, as journalctl takes it.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="From this level on.")
@click.option("--request-id", metavar="ID", help="Of one request only.")
@click.option("--slow", is_flag=True, help="Slow questions only, with plan and counts.")
@json_option
def logs(  # noqa: PLR0913 - one for each option
    *,
    path: str | None,
    unit: str,
    count: int,
    since: str | None,
    follow: bool,
    level: str,
    request_id: str | None,
    slow: bool,
    as_json: bool,
) -> None:
    """Show the service's log lines from the journal of this host, or from a file.

    With --json the lines stay JSON, one each, as they are wanted.
    """
    wanted = Wanted(level, request_id, slow)
    if path is None:
        lines = lines_of_journal(unit, count=count, since=since, follow=follow)
    else:
        lines = lines_of_file(path, follow=follow)
    try:
        for text in lines:
            line = parsed(text)
            if line is not None and wanted.has(line):
                print_json_line(line) if as_json else click.echo(shown(line))
            elif line is None and wanted.is_all and not as_json and text.strip():
                click.echo(safe(text.rstrip("\n")))  # the last words of a process, for people
    except KeyboardInterrupt:
        if not follow:
            raise
