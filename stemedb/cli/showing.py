"""Claims, records and pages of anything, as tables or JSON: the same in every command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

import click

from stemedb import limits
from stemedb.cli.options import Paging
from stemedb.cli.output import note, print_json, print_json_line, print_table, safe, short, shown_value
from stemedb.cli.values import shown_time
from stemedb.client import pages
from stemedb.client.lists import Page
from stemedb.model.replies import ClaimOut, RecordOut, StatementReply, WriteReply

CLAIM_COLUMNS = ("predicate", "value", "confidence", "now", "claimed", "source class", "signed by", "id")
RECORD_COLUMNS = ("seq", "type", "recorded", "id", "what")
ID_DIGITS_SHOWN = 8
_MICROSECONDS = 1_000_000

PageT = TypeVar("PageT", bound=Page)
Item = TypeVar("Item")


def digits(content_id: str) -> str:
    """Return an id whole for programs, for eyes the first digits, which tell them apart."""
    return content_id[:ID_DIGITS_SHOWN] if sys.stdout.isatty() else content_id


def claim_row(claim: ClaimOut) -> tuple[str, ...]:
    """Return a claim as a row of `CLAIM_COLUMNS`."""
    signers = [digits(each.agent_id) for each in claim.signatures]
    more = f" +{len(signers) - 1}" if len(signers) > 1 else ""
    return (
        safe(claim.predicate),
        shown_value(claim.object),
        f"{claim.confidence:.2f}",
        f"{claim.effective_confidence:.2f}",
        shown_time(claim.timestamp),
        safe(claim.source_class) + "".join(f" [{short(warning)}]" for warning in claim.warnings),
        (signers[0] + more) if signers else "nobody",
        digits(claim.hash),
    )


def record_row(record: RecordOut) -> tuple[str, ...]:
    """Return a record of the log as a row of `RECORD_COLUMNS`."""
    body = record.body or {}
    content_id = next((str(body[name]) for name in _IDS if body.get(name)), "")
    what = " ".join(str(body[name]) for name in _SAID if body.get(name) is not None)
    value = body.get("object")
    if isinstance(value, dict):
        what += f" = {value.get('value')}"
    recorded = "" if record.recorded_at is None else shown_time(record.recorded_at // _MICROSECONDS)
    return (str(record.seq), safe(record.type), recorded, digits(safe(content_id)), short(what))


_IDS = ("hash", "id", "claim_id", "source_hash", "gold_id")
_SAID = ("name", "title", "subject", "first", "second", "predicate", "status", "weight", "accurate")


def print_list(
    ask: Callable[[int | None, str | None], PageT],
    items: Callable[[PageT], Sequence[Item]],
    row: Callable[[Item], Sequence[str]],
    columns: Sequence[str],
    paging: Paging,
    *,
    as_json: bool,
) -> None:
    """Print one page of a list, or with `paging.every` all of them (as JSON: an item a line)."""
    if paging.every:
        found = chain.from_iterable(
            items(page) for page in pages(lambda cursor: ask(limits.PAGE_ITEMS_MAX, cursor))
        )
        if as_json:
            print_json_lines(found)
        else:
            print_table(columns, [row(item) for item in found])
        return
    page = ask(paging.limit, paging.cursor)
    if as_json:
        print_json(page)
        return
    print_table(columns, [row(item) for item in items(page)])
    if page.next_cursor:
        note(f"there is more: --cursor {page.next_cursor} (or --all)")


def print_json_lines(found: Iterable[object]) -> None:
    """Print each of `found` as one line of NDJSON, as it comes."""
    for item in found:
        print_json_line(item)


def print_fields(fields: dict[str, str]) -> None:
    """Print one thing: a line for each of its fields that is not empty, whole and safe."""
    width = max(map(len, fields))
    for name, text in fields.items():
        if text:
            click.echo(f"{name:<{width}}  {short(text)}")


def print_found(found: object, fields: dict[str, str], *, as_json: bool) -> None:
    """Print one thing, whole as JSON or as `fields`."""
    if as_json:
        print_json(found)
    else:
        print_fields(fields)


def print_written(reply: WriteReply | StatementReply, *, as_json: bool) -> None:
    """Print what became of something that was said."""
    content_id = reply.hash if isinstance(reply, WriteReply) else reply.id
    if as_json:
        print_json(reply)
    else:
        click.echo(f"{safe(reply.status)} {safe(content_id)} at seq {reply.seq}")
        note_held(reply)


def note_held(reply: WriteReply | StatementReply) -> None:
    """Say what it means that a claim was held back."""
    if reply.status == "quarantined":
        note("held back: nobody sees it until an administrator has looked at it")
