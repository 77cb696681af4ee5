"""`stemedb audits`, `audit`: who asked what, what the answer rested on, and the same answer again."""

from __future__ import annotations

import click

from stemedb.cli.options import Paging, paged
from stemedb.cli.output import note, print_json, print_table, safe, short
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import digits, print_fields, print_list
from stemedb.cli.values import shown_time, timestamp
from stemedb.errors import Unprocessable
from stemedb.model.audit import AuditOut

_US_PER_S = 1_000_000


@click.command(epilog="\b\nExample:\n  stemedb audits --agent-id planner --since 2026-01-01")
@click.option("--agent-id", metavar="NAME", help="Only those of this agent, as it named itself.")
@click.option("--since", metavar="TIME", help="Asked then or later.")
@click.option("--until", metavar="TIME", help="Asked then or before.")
@paged
@connected
def audits(
    *,
    session: Session,
    agent_id: str | None,
    since: str | None,
    until: str | None,
    paging: Paging,
    as_json: bool,
) -> None:
    """List the questions that were asked, the newest first."""
    begin, end = (None if time is None else timestamp(time) for time in (since, until))
    with session.client() as client:
        print_list(
            lambda limit, cursor: client.audits(
                agent_id=agent_id, since=begin, until=end, limit=limit, cursor=cursor
            ),
            lambda page: page.queries,
            lambda each: (_asked(each), safe(each.agent_id or ""), _question(each), each.id),
            ("asked", "agent", "question", "id"),
            paging,
            as_json=as_json,
        )


@click.command(epilog="\b\nExample:\n  stemedb audit 0651...9c --replay")
@click.argument("audit_id", metavar="ID")
@click.option(
    "--replay", is_flag=True, help="Answer the question again, at its moment; exit 1 if it differs."
)
@connected
def audit(*, session: Session, audit_id: str, replay: bool, as_json: bool) -> None:
    """Show one answer's audit: the question, its moment, and the claims it rested on with their weight."""
    with session.client() as client:
        found = client.audit(audit_id, replay=replay)
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found.replayed is not None and not found.replayed.same:
        raise Unprocessable(
            "the answer is not what it was",
            code="replay_differs",
            hint="Only an erasure changes an answer of the past: look for one in the feed.",
        )


def _print(found: AuditOut) -> None:
    print_fields(
        {
            "asked": _asked(found),
            "agent": safe(found.agent_id or ""),
            "question": _question(found),
            "position": str(found.seq),
            "clock": shown_time(found.clock),
            "answer's hash": found.result_hash,
        }
    )
    rows = [(digits(each.hash), f"{each.weight:.4f}") for each in found.contributing]
    print_table(("claim", "weight"), rows)
    if found.contributing_count > len(rows):
        note(f"and {found.contributing_count - len(rows)} claims more")
    if found.replayed is not None and found.replayed.same:
        note("answered again: the same")


def _asked(found: AuditOut) -> str:
    return shown_time(found.time // _US_PER_S)


def _question(found: AuditOut) -> str:
    """Return the question as its URL says it, unescaped."""
    parameters = "&".join(f"{name}={value}" for name, values in found.parameters.items() for value in values)
    return short(f"{found.endpoint}?{parameters}")
