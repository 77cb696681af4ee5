"""`stemedb query` and `stemedb skeptic`: what is known, and how much of it is in dispute."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stemedb import limits
from stemedb.cli.output import (
    note,
    print_json,
    print_json_line,
    print_table,
    safe,
    short,
    shown_value,
)
from stemedb.cli.session import connected
from stemedb.cli.values import shown_time, timestamp
from stemedb.client import Filters
from stemedb.lens import LENSES
from stemedb.model.wire import TIERS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from stemedb.cli.session import Session
    from stemedb.client import Client
    from stemedb.model.replies import ClaimOut, LensReply

Command = TypeVar("Command", bound="Callable[..., Any]")
ID_DIGITS_SHOWN = 8
STAGES = ("proposed", "under_review", "approved", "deprecated", "rejected", "any")
CLAIM_COLUMNS = ("predicate", "value", "confidence", "now", "claimed", "source class", "signed by", "id")


def _filters(command: Command) -> Command:
    """Add the filters and the clock of a question, named as in the HTTP API."""
    for option in (
        click.option("--no-decay", is_flag=True, help="Take confidences as they were claimed."),
        click.option("--known-at", metavar="SEQ|TIME", help="Only what the server had accepted by then."),
        click.option("--at", "--as-of", "at", metavar="TIME", help="The world as claimed by then."),
        click.option("--min-confidence", type=float, help="Only claims at least this sure, from 0 to 1."),
        click.option("--agent-id", metavar="HEX", help="Only claims signed by this agent."),
        click.option(
            "--source-class", type=click.Choice(list(TIERS_BY_NAME)), multiple=True, help="Repeatable."
        ),
        click.option("--epoch", metavar="HEX", help="Only claims of this epoch."),
        click.option("--lifecycle", type=click.Choice(STAGES), help="Stage (every one that is still open)."),
    ):
        command = option(command)
    return command


def _read_filters(options: dict[str, Any]) -> Filters:
    at, known_at = options["at"], options["known_at"]
    if known_at is not None and re.match(r"\d{4}-\d{2}-\d{2}\Z", known_at):
        known_at += "T00:00:00Z"
    return Filters(
        lifecycle=options["lifecycle"],
        epoch=options["epoch"],
        source_class=options["source_class"],
        agent_id=options["agent_id"],
        min_confidence=options["min_confidence"],
        as_of=None if at is None else timestamp(at),
        known_at=known_at,
        decay=not options["no_decay"],
    )


QUERY_EXAMPLE = """\b
Example:
  stemedb query drug://velorin
  stemedb query drug://velorin cardiac_risk --lens authority --at 2025-06-01
"""


@click.command(epilog=QUERY_EXAMPLE)
@click.argument("subject")
@click.argument("predicate", default="*")
@click.option("--lens", type=click.Choice(list(LENSES)), help="Resolve to one answer.")
@click.option("--limit", type=click.IntRange(1, limits.PAGE_ITEMS_MAX), help="Claims of one page (100).")
@click.option("--cursor", metavar="TEXT", help="Continue after the page that named it.")
@click.option("--all", "every", is_flag=True, help="Every page; with --json one claim a line.")
@_filters
@connected
def query(  # noqa: PLR0913 - one parameter an option
    *,
    session: Session,
    subject: str,
    predicate: str,
    lens: str | None,
    limit: int | None,
    cursor: str | None,
    every: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - the filters, read in one place
) -> None:
    """Show what is claimed about SUBJECT, newest first; with --lens, the answer that it resolves to.

    Without PREDICATE every predicate is shown.
    """
    filters = _read_filters(options)
    if lens is not None and (every or limit is not None or cursor is not None):
        raise click.UsageError("--lens gives one answer: --all, --limit and --cursor do not go with it")
    if every and (limit is not None or cursor is not None):
        raise click.UsageError("--all reads every page: --limit and --cursor do not go with it")
    if lens is not None and predicate == "*":
        raise click.UsageError("a lens needs one PREDICATE")
    with session.client() as client:
        if lens is not None:
            _print_resolution(client.query(subject, predicate, lens=lens, filters=filters), as_json=as_json)
        elif every:
            _print_all(client, subject, predicate, filters, as_json=as_json)
        else:
            page = client.query(subject, predicate, filters=filters, limit=limit, cursor=cursor)
            if as_json:
                print_json(page)
                return
            print_table(CLAIM_COLUMNS, [_claim_row(claim) for claim in page.assertions])
            if page.next_cursor:
                note(f"there is more: --cursor {page.next_cursor} (or --all)")


def _print_all(client: Client, subject: str, predicate: str, filters: Filters, *, as_json: bool) -> None:
    claims = client.claims(subject, predicate, filters)
    if as_json:
        for claim in claims:
            print_json_line(claim)
    else:
        print_table(CLAIM_COLUMNS, [_claim_row(claim) for claim in claims])


def _claim_row(claim: ClaimOut) -> tuple[str, ...]:
    # Ids whole for programs; for eyes the first digits tell them apart.
    shown = ID_DIGITS_SHOWN if sys.stdout.isatty() else None
    signers = [each.agent_id[:shown] for each in claim.signatures]
    more = f" +{len(signers) - 1}" if len(signers) > 1 else ""
    return (
        safe(claim.predicate),
        shown_value(claim.object),
        f"{claim.confidence:.2f}",
        f"{claim.effective_confidence:.2f}",
        shown_time(claim.timestamp),
        safe(claim.source_class) + "".join(f" [{short(warning)}]" for warning in claim.warnings),
        (signers[0] + more) if signers else "nobody",
        claim.hash[:shown],
    )


def _print_resolution(answer: LensReply, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    if answer.winner is None:
        click.echo(f"no answer: no claim to choose from ({safe(answer.lens)})")
        return
    winner = answer.winner
    click.echo(shown_value(winner.object))
    note(
        f"by {answer.lens} of {answer.candidates_count} claims: resolution confidence "
        f"{answer.resolution_confidence:.2f}, conflict {answer.conflict_score:.2f}; {winner.source_class}, "
        f"claimed {shown_time(winner.timestamp)}, id {winner.hash}"
    )


SKEPTIC_EXAMPLE = "\b\nExample:\n  stemedb skeptic drug://velorin cardiac_risk"


@click.command(epilog=SKEPTIC_EXAMPLE)
@click.argument("subject")
@click.argument("predicate")
@_filters
@connected
def skeptic(
    *,
    session: Session,
    subject: str,
    predicate: str,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - as in query
) -> None:
    """Show the quarrel about SUBJECT and PREDICATE: every value, with its share of all weight."""
    with session.client() as client:
        answer = client.skeptic(subject, predicate, _read_filters(options))
    if as_json:
        print_json(answer)
        return
    rows = [
        (
            shown_value(each.value),
            f"{each.share:.1%}",
            str(each.claims_count),
            str(each.agents_count),
            shown_time(each.newest.timestamp),
            safe(each.newest.source_class),
        )
        for each in answer.claims
    ]
    print_table(("value", "share", "claims", "agents", "newest", "its class"), rows)
    note(f"{answer.status}: conflict {answer.conflict_score:.2f} over {answer.candidates_count} claims")
