"""Options that several commands share, named as in the HTTP API: filters, clock, kinds of values, pages."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

from stemedb import limits
from stemedb.cli.values import timestamp
from stemedb.client import Filters, When
from stemedb.model.wire import TIERS_BY_NAME

Command = TypeVar("Command", bound="Callable[..., Any]")
STAGES = ("proposed", "under_review", "approved", "deprecated", "rejected", "any")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


known_at_option = click.option(
    "--known-at", metavar="SEQ|TIME", help="Only what the server had accepted by then."
)
at_option = click.option("--at", "--as-of", "at", metavar="TIME", help="The world as claimed by then.")


class Paging(NamedTuple):
    """Which part of a list is wanted; `every` is all of it."""

    limit: int | None
    cursor: str | None
    every: bool


def with_filters(command: Command) -> Command:
    """Add the filters and the clock of a question; the command gets `filters`."""

    @functools.wraps(command)
    def wrapped(**options: Any) -> Any:  # noqa: ANN401 - click's own shape
        at, known_at = options.pop("at"), options.pop("known_at")
        filters = Filters(
            as_of=None if at is None else timestamp(at),
            known_at=None if known_at is None else position(known_at),
            decay=not options.pop("no_decay"),
            vector_near=options.pop("vector_near", None),
            k=options.pop("k", None),
            **{name: options.pop(name) for name in _PLAIN},
        )
        return command(filters=filters, **options)

    for option in (
        click.option(
            "--visual-threshold",
            type=click.IntRange(0, limits.VISUAL_BITS),
            help="Bits that may differ (8).",
        ),
        click.option("--visual-near", metavar="HEX", help="Only claims whose image is like this one."),
        click.option("--aliases", is_flag=True, help="Ask about every subject that means the same."),
        click.option("--no-decay", is_flag=True, help="Take confidences as they were claimed."),
        known_at_option,
        at_option,
        click.option("--min-confidence", type=float, help="Only claims at least this sure, from 0 to 1."),
        click.option("--agent-id", metavar="HEX", help="Only claims signed by this agent."),
        click.option(
            "--source-class", type=click.Choice(list(TIERS_BY_NAME)), multiple=True, help="Repeatable."
        ),
        click.option("--epoch", metavar="HEX", help="Only claims of this epoch."),
        click.option("--lifecycle", type=click.Choice(STAGES), help="Stage (every one that is still open)."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]  # click looks at the wrapper's options only


_PLAIN = (
    "lifecycle",
    "epoch",
    "source_class",
    "agent_id",
    "min_confidence",
    "aliases",
    "visual_near",
    "visual_threshold",
)


def position(text: str) -> str:
    """Return a position in the log or a time, as the API takes it; a day is its midnight in UTC."""
    return f"{text}T00:00:00Z" if _DAY.match(text) else text


def with_kind(command: Command) -> Command:
    """Add `--text`, `--number`, `--bool` and `--ref`; the command gets `kind`, None where it is guessed."""
    for option in (
        click.option("--ref", "kind", flag_value="reference", help="VALUE names another subject."),
        click.option("--bool", "kind", flag_value="boolean", help="VALUE is true or false."),
        click.option("--number", "kind", flag_value="number", help="VALUE is a number."),
        click.option("--text", "kind", flag_value="text", help="VALUE is text."),
    ):
        command = option(command)
    return command


def paged(command: Command) -> Command:
    """Add `--limit`, `--cursor` and `--all`; the command gets `paging`."""

    @click.option("--limit", type=click.IntRange(1, limits.PAGE_ITEMS_MAX), help="Items of one page (100).")
    @click.option("--cursor", metavar="TEXT", help="Continue after the page that named it.")
    @click.option("--all", "every", is_flag=True, help="Every page; with --json one item a line.")
    @functools.wraps(command)
    def wrapped(limit: int | None, cursor: str | None, *, every: bool, **options: Any) -> Any:  # noqa: ANN401 - as above
        if every and (limit is not None or cursor is not None):
            raise click.UsageError("--all reads every page: --limit and --cursor do not go with it")
        return command(paging=Paging(limit, cursor, every), **options)

    return wrapped  # type: ignore[return-value]  # as above


def timed(command: Command) -> Command:
    """Add `--at` and `--known-at`; the command gets `when`."""

    @known_at_option
    @at_option
    @functools.wraps(command)
    def wrapped(at: str | None, known_at: str | None, **options: Any) -> Any:  # noqa: ANN401 - as above
        when = When(
            as_of=None if at is None else timestamp(at),
            known_at=None if known_at is None else position(known_at),
        )
        return command(when=when, **options)

    return wrapped  # type: ignore[return-value]  # as above


def timestamp_option(what: str = "When it was said") -> Callable[[Command], Command]:
    """Return the option `--timestamp`; the command gets `at`, as typed."""
    return click.option(
        "--timestamp", "at", metavar="TIME", help=f"{what}: Unix seconds, day or RFC 3339 (now)."
    )


def as_option(command: Command) -> Command:
    """Add `--as`; the command gets `name`."""
    return click.option("--as", "name", metavar="NAME", help="Key to sign with (else the profile's `as`).")(
        command
    )
