"""`stemedb query`: what is claimed, what it resolves to, and what has changed."""

from __future__ import annotations

import click

from stemedb import limits
from stemedb.cli.commands.quarrels import print_rules
from stemedb.cli.options import Paging, paged, position, with_filters
from stemedb.cli.output import note, print_json, print_table, safe, shown_value
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import CLAIM_COLUMNS, RECORD_COLUMNS, claim_row, print_list, record_row
from stemedb.cli.values import shown_time
from stemedb.client import Client, Filters
from stemedb.client.reading import RULES_LENS
from stemedb.lens import LENSES
from stemedb.model.replies import LensReply

QUERY_EXAMPLE = """\b
Example:
  stemedb query drug://velorin
  stemedb query drug://velorin cardiac_risk --lens authority --at 2025-06-01
"""


@click.command(epilog=QUERY_EXAMPLE)
@click.argument("subject")
@click.argument("predicate", default="*")
@click.option("--lens", type=click.Choice([*LENSES, RULES_LENS]), help="Resolve to one answer.")
@click.option("--since", metavar="SEQ|TIME", help="What was recorded after that, instead of what stands.")
@click.option("--vector-near", metavar="HEX|NUMBERS", help="Only the nearest: a claim's id, or 0.1,-0.5,...")
@click.option("--k", type=click.IntRange(1, limits.PAGE_ITEMS_MAX), help="How many of the nearest (10).")
@paged
@with_filters
@connected
def query(  # noqa: PLR0913 - one parameter an option
    *,
    session: Session,
    subject: str,
    predicate: str,
    lens: str | None,
    since: str | None,
    paging: Paging,
    filters: Filters,
    as_json: bool,
) -> None:
    """Show what is claimed about SUBJECT, newest first; with --lens, the answer that it resolves to.

    Without PREDICATE every predicate is shown.
    """
    one_answer = lens is not None or since is not None
    if lens is not None and since is not None:
        raise click.UsageError("--since shows what changed: --lens does not go with it")
    if one_answer and (paging.every or paging.cursor is not None or (lens and paging.limit is not None)):
        option = "--since" if since is not None else "--lens"
        raise click.UsageError(f"{option} gives one answer: --all, --limit and --cursor do not go with it")
    if one_answer and predicate == "*" and lens != RULES_LENS:
        raise click.UsageError("a lens needs one PREDICATE" if lens else "--since needs one PREDICATE")
    with session.client() as client:
        if lens == RULES_LENS:
            print_rules(client.constraints(subject, predicate, filters), as_json=as_json)
        elif lens is not None:
            _print_resolution(client.query(subject, predicate, lens=lens, filters=filters), as_json=as_json)
        elif since is not None:
            _print_changes(client, subject, predicate, since, paging.limit, as_json=as_json)
        else:
            print_list(
                lambda limit, cursor: client.query(
                    subject, predicate, filters=filters, limit=limit, cursor=cursor
                ),
                lambda page: page.assertions,
                claim_row,
                CLAIM_COLUMNS,
                paging,
                as_json=as_json,
            )


def _print_changes(
    client: Client, subject: str, predicate: str, since: str, limit: int | None, *, as_json: bool
) -> None:
    found = client.changes(subject, predicate, position(since), limit=limit)
    if as_json:
        print_json(found)
    else:
        print_table(RECORD_COLUMNS, [record_row(record) for record in found.changes])


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
