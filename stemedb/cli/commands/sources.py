"""`stemedb source` and `stemedb impact`: evidence, what became of it, and what hangs on it."""

from __future__ import annotations

from pathlib import Path

import click
from blake3 import blake3

from stemedb import limits
from stemedb.cli.options import Paging, paged, timed, timestamp_option
from stemedb.cli.output import note, safe, short
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import CLAIM_COLUMNS, claim_row, digits, print_found, print_list, print_written
from stemedb.cli.values import shown_time, timestamp
from stemedb.client import When
from stemedb.errors import Invalid
from stemedb.model.replies import ImpactReply, SourceOut
from stemedb.model.statements_wire import SourceIn
from stemedb.model.wire import SOURCE_STATUSES, TIERS_BY_NAME

COLUMNS = ("title", "status", "source class", "from", "url", "hash")


@click.group()
def source() -> None:
    """Register, list and show sources; dispute, retract or restore one."""


ADD_EXAMPLE = """\b
Example:
  stemedb source add 'ORBIT-2, final report' --file report.txt --source-class Clinical
  stemedb source add 'ORBIT-2, final report' --hash 9f24...03 --source-url https://example.org/orbit-2
"""


@source.command(epilog=ADD_EXAMPLE)
@click.argument("title")
@click.option("--hash", "source_hash", metavar="HEX", help="Its hash, as claims name it (of --file: BLAKE3).")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its text, UTF-8, to be kept with it.",
)
@click.option("--source-url", metavar="URL", help="Where it is published.")
@click.option("--source-class", type=click.Choice(list(TIERS_BY_NAME)), help="Its tier.")
@click.option("--status", type=click.Choice(list(SOURCE_STATUSES)), default="Active", show_default=True)
@timestamp_option("When it came out")
@connected
def add(  # noqa: PLR0913 - one parameter an option
    *,
    session: Session,
    title: str,
    source_hash: str | None,
    file: Path | None,
    source_url: str | None,
    source_class: str | None,
    status: str,
    at: str | None,
    as_json: bool,
) -> None:
    """Register a source called TITLE, so that claims can rest on it and fall with it."""
    content = None if file is None else _content(file)
    if source_hash is None:
        if content is None:
            raise click.UsageError("--hash or --file says which source it is")
        source_hash = blake3(content.encode()).hexdigest()
    when = None if at is None else timestamp(at)
    body = SourceIn(source_hash, title, source_url, source_class, status, content, when)
    with session.client() as client:
        print_written(client.add_source(body), as_json=as_json)


def _content(file: Path) -> str:
    """Read a source's text; raises `Invalid` where it is too long or none."""
    try:
        with file.open("rb") as opened:
            content = opened.read(limits.SOURCE_CONTENT_BYTES_MAX + 1)
        if len(content) > limits.SOURCE_CONTENT_BYTES_MAX:
            raise Invalid(
                f"{file} is longer than {limits.SOURCE_CONTENT_BYTES_MAX} bytes",
                hint="Register it by --hash, without its text.",
            )
        return content.decode()
    except OSError as error:
        raise Invalid(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not UTF-8", hint="Register it by --hash, without its text.") from error


@source.command("list", epilog="\b\nExample:\n  stemedb source list")
@paged
@timed
@connected
def list_(*, session: Session, paging: Paging, when: When, as_json: bool) -> None:
    """List the sources by hash."""
    with session.client() as client:
        print_list(
            lambda limit, cursor: client.sources(limit=limit, cursor=cursor, when=when),
            lambda page: page.sources,
            _row,
            COLUMNS,
            paging,
            as_json=as_json,
        )


@source.command(epilog="\b\nExample:\n  stemedb source show 9f24...03")
@click.argument("source_hash", metavar="HASH")
@timed
@connected
def show(*, session: Session, source_hash: str, when: When, as_json: bool) -> None:
    """Show one source; its text, if there is one, in whole with --json."""
    with session.client() as client:
        found = client.source(source_hash, when)
    print_found(
        found,
        {
            "source": found.source_hash,
            "title": found.title,
            "status": found.status,
            "from": shown_time(found.timestamp),
            "source class": found.source_class or "",
            "url": found.url or "",
            "text": found.content or "",
            "seq": str(found.seq),
        },
        as_json=as_json,
    )


@source.command(epilog="\b\nExample:\n  stemedb source status 9f24...03 Retracted")
@click.argument("source_hash", metavar="HASH")
@click.argument("status", metavar="STATUS", type=click.Choice(list(SOURCE_STATUSES)))
@timestamp_option("Since when")
@connected
def status(*, session: Session, source_hash: str, status: str, at: str | None, as_json: bool) -> None:
    """Make a source Active, Disputed or Retracted: every claim that rests on it follows."""
    when = None if at is None else timestamp(at)
    with session.client() as client:
        print_written(client.set_source_status(source_hash, status, timestamp=when), as_json=as_json)


@click.command(epilog="\b\nExample:\n  stemedb impact 9f24...03")
@click.argument("source_hash", metavar="HASH")
@paged
@timed
@connected
def impact(*, session: Session, source_hash: str, paging: Paging, when: When, as_json: bool) -> None:
    """Show what hangs on a source: every claim that rests on it, and the answers that rested on those."""
    shown: list[SourceOut] = []
    answers: list[str] = []

    with session.client() as client:

        def ask(limit: int | None, cursor: str | None) -> ImpactReply:
            page = client.impact(source_hash, limit=limit, cursor=cursor, when=when)
            shown[:] = [page.source]
            answers.extend(page.answers)
            return page

        print_list(
            ask,
            lambda page: page.claims,
            lambda claim: (safe(claim.subject), *claim_row(claim)),
            ("subject", *CLAIM_COLUMNS),
            paging,
            as_json=as_json,
        )
    if not as_json:
        note(f"{shown[0].title}: {shown[0].status}")
        note(f"answers given that rested on these claims: {len(set(answers))} (stemedb audit ID)")
        for answer in dict.fromkeys(answers):
            note(f"  {answer}")


def _row(each: SourceOut) -> tuple[str, ...]:
    return (
        short(each.title),
        safe(each.status),
        safe(each.source_class or ""),
        shown_time(each.timestamp),
        short(each.url or ""),
        digits(each.source_hash),
    )
