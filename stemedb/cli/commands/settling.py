"""`stemedb alias` and `stemedb gold`: subjects that mean the same, and questions that are settled."""

from __future__ import annotations

import click

from stemedb.cli.options import Paging, paged, timed, timestamp_option, with_kind
from stemedb.cli.output import note, safe, short, shown_value
from stemedb.cli.session import Session, connected
from stemedb.cli.showing import digits, print_found, print_list, print_written
from stemedb.cli.values import KIND_OPTIONS, guess_kind, shown_time, timestamp, value_fields
from stemedb.client import When
from stemedb.model import Value
from stemedb.model.replies import AliasOut, GoldStandardOut
from stemedb.model.wire import KIND_NAMES, Faults, read_value

ALIAS_COLUMNS = ("subject", "alias", "from", "id")
GOLD_COLUMNS = ("subject", "predicate", "value", "from", "id")


@click.group()
def alias() -> None:
    """Join subjects that mean the same; list and show aliases."""


@alias.command("add", epilog="\b\nExample:\n  stemedb alias add Ozempic Semaglutide")
@click.argument("subject")
@click.argument("other", metavar="ALIAS")
@timestamp_option()
@connected
def add_alias(*, session: Session, subject: str, other: str, at: str | None, as_json: bool) -> None:
    """Say that SUBJECT and ALIAS mean the same; `query --aliases` follows it in both directions."""
    when = None if at is None else timestamp(at)
    with session.client() as client:
        print_written(client.add_alias(subject, other, timestamp=when), as_json=as_json)


@alias.command("list", epilog="\b\nExample:\n  stemedb alias list")
@paged
@timed
@connected
def list_aliases(*, session: Session, paging: Paging, when: When, as_json: bool) -> None:
    """List the aliases in the order of the log."""
    with session.client() as client:
        print_list(
            lambda limit, cursor: client.aliases(limit=limit, cursor=cursor, when=when),
            lambda page: page.aliases,
            _alias_row,
            ALIAS_COLUMNS,
            paging,
            as_json=as_json,
        )


@alias.command("show", epilog="\b\nExample:\n  stemedb alias show 5d02...aa")
@click.argument("alias_id", metavar="ID")
@timed
@connected
def show_alias(*, session: Session, alias_id: str, when: When, as_json: bool) -> None:
    """Show one alias."""
    with session.client() as client:
        found = client.alias(alias_id, when)
    print_found(
        found,
        {
            "alias": found.id,
            "subject": found.subject,
            "means": found.alias,
            "from": shown_time(found.timestamp),
            "seq": str(found.seq),
        },
        as_json=as_json,
    )


@click.group()
def gold() -> None:
    """Settle questions; list and show what is settled."""


@gold.command(
    "add", epilog="\b\nExample:\n  stemedb gold add company://halden-optics revenue_2024_meur 222.6"
)
@click.argument("subject")
@click.argument("predicate")
@click.argument("value")
@with_kind
@timestamp_option()
@connected
def add_gold(  # noqa: PLR0913 - one parameter an option
    *,
    session: Session,
    subject: str,
    predicate: str,
    value: str,
    kind: str | None,
    at: str | None,
    as_json: bool,
) -> None:
    """Hold it to be settled that SUBJECT has VALUE for PREDICATE.

    Who spoke about it gains trust where right and loses twice as much where wrong, each agent once.
    Without --text, --number, --bool or --ref the kind of VALUE is guessed, and the guess is printed.
    """
    object_kind = KIND_OPTIONS[kind] if kind else guess_kind(value)
    when = None if at is None else timestamp(at)
    with session.client() as client:
        reply = client.add_gold_standard(
            subject, predicate, _value(value_fields(value, object_kind)), timestamp=when
        )
    print_written(reply, as_json=as_json)
    if kind is None and not as_json:
        note(f"read VALUE as {KIND_NAMES[object_kind]}; say --text, --number, --bool or --ref to decide it")


def _value(fields: dict[str, str | int | float | bool]) -> Value:
    faults = Faults()
    value = read_value(faults, fields)
    faults.raise_if_any()
    return value


@gold.command("list", epilog="\b\nExample:\n  stemedb gold list")
@paged
@timed
@connected
def list_gold(*, session: Session, paging: Paging, when: When, as_json: bool) -> None:
    """List what is settled, in the order of the log."""
    with session.client() as client:
        print_list(
            lambda limit, cursor: client.gold_standards(limit=limit, cursor=cursor, when=when),
            lambda page: page.gold_standards,
            _gold_row,
            GOLD_COLUMNS,
            paging,
            as_json=as_json,
        )


@gold.command("show", epilog="\b\nExample:\n  stemedb gold show 41be...90")
@click.argument("gold_id", metavar="ID")
@timed
@connected
def show_gold(*, session: Session, gold_id: str, when: When, as_json: bool) -> None:
    """Show one gold standard."""
    with session.client() as client:
        found = client.gold_standard(gold_id, when)
    print_found(
        found,
        {
            "gold standard": found.id,
            "subject": found.subject,
            "predicate": found.predicate,
            "value": shown_value(found.object),
            "from": shown_time(found.timestamp),
            "seq": str(found.seq),
        },
        as_json=as_json,
    )


def _alias_row(each: AliasOut) -> tuple[str, ...]:
    return (safe(each.subject), safe(each.alias), shown_time(each.timestamp), digits(each.id))


def _gold_row(each: GoldStandardOut) -> tuple[str, ...]:
    return (
        safe(each.subject),
        short(each.predicate),
        shown_value(each.object),
        shown_time(each.timestamp),
        digits(each.id),
    )
