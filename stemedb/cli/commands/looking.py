"""`stemedb agent`, `concepts`, `escalations`, `trace`, `feed`: who, about what, from where, what is new."""

from __future__ import annotations

import click

from stemedb import limits
from stemedb.cli.options import Paging, paged, timed
from stemedb.cli.output import note, print_json, print_json_line, print_table, safe
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import RECORD_COLUMNS, print_fields, print_list, record_row
from stemedb.cli.tracing import print_trace
from stemedb.client import When
from stemedb.model.replies import RecordOut


@click.command(epilog="\b\nExample:\n  stemedb agent alice")
@click.argument("agent")
@timed
@connected
def agent(*, session: Session, agent: str, when: When, as_json: bool) -> None:
    """Show how far AGENT is trusted: an agent id, or the name of a key in the key ring."""
    with session.client() as client:
        found = client.agent(session.agent_id(agent), when)
    if as_json:
        print_json(found)
    else:
        print_fields(
            {
                "agent": found.agent_id,
                "trust": f"{found.trust:.4f}",
                "judged right": str(found.accurate),
                "judged wrong": str(found.inaccurate),
                "claims": str(found.claims_count),
            }
        )


@click.command(epilog="\b\nExample:\n  stemedb concepts drug://")
@click.argument("prefix", default="")
@paged
@timed
@connected
def concepts(*, session: Session, prefix: str, paging: Paging, when: When, as_json: bool) -> None:
    """List the subjects that begin with PREFIX, with how much is said about each."""
    with session.client() as client:
        print_list(
            lambda limit, cursor: client.concepts(prefix, limit=limit, cursor=cursor, when=when),
            lambda page: page.concepts,
            lambda each: (safe(each.subject), str(each.claims_count), str(each.predicates_count)),
            ("subject", "claims", "predicates"),
            paging,
            as_json=as_json,
        )


@click.command(epilog="\b\nExample:\n  stemedb escalations")
@paged
@timed
@connected
def escalations(*, session: Session, paging: Paging, when: When, as_json: bool) -> None:
    """List the crowds of anecdotal claims that nothing authoritative stands beside."""
    with session.client() as client:
        print_list(
            lambda limit, cursor: client.escalations(limit=limit, cursor=cursor, when=when),
            lambda page: page.escalations,
            lambda each: (safe(each.kind), safe(each.subject), safe(each.predicate), str(each.claims_count)),
            ("kind", "subject", "predicate", "claims"),
            paging,
            as_json=as_json,
        )


@click.command(epilog="\b\nExample:\n  stemedb trace 3bd1...8f")
@click.argument("claim")
@timed
@connected
def trace(*, session: Session, claim: str, when: When, as_json: bool) -> None:
    """Show where the claim with the id CLAIM comes from and what became of it.

    What it revises and what revised it, every signature and vote, its source and its epoch; each signature
    is verified here.
    """
    with session.client() as client:
        found = client.trace(claim, when)
    if as_json:
        print_json(found)
    else:
        print_trace(found)


FEED_EXAMPLE = """\b
Example:
  stemedb feed --after 200
  stemedb feed --follow --after 200 --json
"""


@click.command(epilog=FEED_EXAMPLE)
@click.option("--after", type=click.IntRange(0), default=0, help="Position behind which to begin (0).")
@click.option("--limit", type=click.IntRange(1, limits.PAGE_ITEMS_MAX), help="Records at most (100).")
@click.option(
    "--wait", type=click.FloatRange(0, limits.FEED_WAIT_S_MAX), default=0.0, help="Seconds, if none."
)
@click.option("--follow", is_flag=True, help="Never end: each record as it comes, with --json one a line.")
@connected
def feed(
    *, session: Session, after: int, limit: int | None, wait: float, follow: bool, as_json: bool
) -> None:
    """Show the records of the log in order, without a gap."""
    if follow and (limit is not None or wait):
        raise click.UsageError("--follow never ends: --limit and --wait do not go with it")
    with session.client() as client:
        if follow:
            for record in client.follow(after):
                _print_record(record, as_json=as_json)
            return
        found = client.feed(after, limit=limit, wait_s=wait)
    if as_json:
        print_json(found)
        return
    print_table(RECORD_COLUMNS, [record_row(record) for record in found.records])
    note(f"go on with --after {found.next}")


def _print_record(record: RecordOut, *, as_json: bool) -> None:
    if as_json:
        print_json_line(record)
    else:
        click.echo("\t".join(record_row(record)))
