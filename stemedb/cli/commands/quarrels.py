"""`stemedb skeptic`, `layered` and `constraints`: who disagrees, in which tier, and what the rules are."""

from __future__ import annotations

import click

from stemedb.cli.options import with_filters
from stemedb.cli.output import note, print_json, print_table, safe, short, shown_value
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import digits
from stemedb.cli.values import shown_time
from stemedb.client import Filters
from stemedb.model.replies import ConstraintsReply


@click.command(epilog="\b\nExample:\n  stemedb skeptic drug://velorin cardiac_risk")
@click.argument("subject")
@click.argument("predicate")
@with_filters
@connected
def skeptic(*, session: Session, subject: str, predicate: str, filters: Filters, as_json: bool) -> None:
    """Show the quarrel about SUBJECT and PREDICATE: every value, with its share of all weight."""
    with session.client() as client:
        answer = client.skeptic(subject, predicate, filters)
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


@click.command(epilog="\b\nExample:\n  stemedb layered drug://velorin raises_cardiac_risk --at 2024-06-01")
@click.argument("subject")
@click.argument("predicate")
@with_filters
@connected
def layered(*, session: Session, subject: str, predicate: str, filters: Filters, as_json: bool) -> None:
    """Show what each tier says about SUBJECT and PREDICATE, and how much it quarrels with itself."""
    with session.client() as client:
        answer = client.layered(subject, predicate, filters)
    if as_json:
        print_json(answer)
        return
    rows = [
        (
            str(layer.tier),
            safe(layer.source_class),
            shown_value(layer.winner.object),
            f"{layer.conflict_score:.2f}",
            str(layer.candidates_count),
            shown_time(layer.winner.timestamp),
            digits(layer.winner.hash),
        )
        for layer in answer.tiers
    ]
    print_table(("tier", "source class", "value", "conflict", "claims", "claimed", "id"), rows)
    note(f"conflict between the tiers: {answer.cross_tier_conflict:.2f}")


@click.command(epilog="\b\nExample:\n  stemedb constraints code://payments/auth/tokens")
@click.argument("subject")
@click.argument("predicate", default="*")
@with_filters
@connected
def constraints(*, session: Session, subject: str, predicate: str, filters: Filters, as_json: bool) -> None:
    """Show the rules of SUBJECT, most authoritative first: what must be used and what is forbidden.

    PREDICATE narrows them to `must_use` or `forbidden`.
    """
    with session.client() as client:
        print_rules(client.constraints(subject, predicate, filters), as_json=as_json)


def print_rules(answer: ConstraintsReply, *, as_json: bool) -> None:
    """Print the rules of a subject."""
    if as_json:
        print_json(answer)
        return
    rows = [
        (
            safe(each.rule),
            shown_value(each.value),
            safe(each.claim.source_class),
            f"{each.claim.effective_confidence:.2f}",
            short(each.reason or ""),
            digits(each.claim.hash),
        )
        for each in answer.constraints
    ]
    print_table(("rule", "value", "source class", "now", "reason", "id"), rows)
