"""Lists, and single things beside claims: sources, epochs, aliases, gold standards, agents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from stemedb.errors import Gone, NotFound
from stemedb.model.replies import (
    AgentReply,
    AliasesReply,
    AliasOut,
    EpochOut,
    EpochsReply,
    GoldStandardOut,
    GoldStandardsReply,
    ImpactReply,
    SourceOut,
    SourcesReply,
)
from stemedb.model.statements import alias_id
from stemedb.model.wire import SOURCE_STATUS_NAMES, SUPERSESSION_NAMES, TIER_NAMES, value_to_wire
from stemedb.query.claims import rounded, see, show
from stemedb.query.enrich import Surroundings
from stemedb.query.moment import PRESENT, Moment, moment_at
from stemedb.query.paging import Listing, after_seq, cut_page, list_name
from stemedb.query.question import When
from stemedb.query.watch import Viewed
from stemedb.store import Snapshot
from stemedb.store.keys import u64
from stemedb.store.rows import EpochRow, GoldRow, JoinRow, SourceRow

Timed = TypeVar("Timed", JoinRow, GoldRow)
"""A row with a time of its own."""


def list_sources(view: Viewed, listing: Listing, now_s: int, when: When = PRESENT) -> SourcesReply:
    """List the sources known then by hash, without their content, each with its status then."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        around, name = Surroundings(snapshot, moment), list_name("sources", when)
        found = (
            each
            for each in snapshot.sources(listing.place(name))
            if moment.sees(each[1].seq, each[1].timestamp)
        )
        page, cursor = cut_page(name, found, listing, lambda each: each[0])
        return SourcesReply([_source(around, *each) for each in page], cursor)


def show_source(view: Viewed, source_hash: bytes, now_s: int, when: When = PRESENT) -> SourceOut:
    """Return one source with its content and its status then; raises `NotFound`, `Gone` when erased."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        row = _require_source(snapshot, source_hash, moment)
        around = Surroundings(snapshot, moment)
        return _source(around, source_hash, row, snapshot.content(source_hash))


def source_impact(
    view: Viewed, source_hash: bytes, listing: Listing, now_s: int, when: When = PRESENT
) -> ImpactReply:
    """Return a source and the claims that rested on it then, by id; raises as `show_source` does."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        row = _require_source(snapshot, source_hash, moment)
        around = Surroundings(snapshot, moment)
        name = list_name(f"impact:{source_hash.hex()}", when)
        ids = snapshot.source_claims(source_hash, listing.place(name))
        page, cursor = cut_page(name, ids, listing, lambda claim_id: claim_id)
        rows = [row for row in map(snapshot.claim, page) if row is not None]
        seen = [each for each in (see(row, moment, around) for row in rows) if each is not None]
        return ImpactReply(_source(around, source_hash, row), [show(each) for each in seen], cursor)


def list_epochs(view: Viewed, listing: Listing, now_s: int, when: When = PRESENT) -> EpochsReply:
    """List the epochs there were then, in the order of the log, each with what had superseded it."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        name = list_name("epochs", when)
        rows = snapshot.epochs(after_seq(name, listing))
        found = (each for each in rows if moment.sees(each[0], each[1].epoch.timestamp))
        page, cursor = cut_page(name, found, listing, lambda each: u64(each[0]))
        return EpochsReply([_epoch(snapshot, *each, moment) for each in page], cursor)


def show_epoch(view: Viewed, epoch_id: bytes, now_s: int, when: When = PRESENT) -> EpochOut:
    """Return one epoch as it stood then; raises `NotFound`."""
    with view.snapshot() as snapshot:
        found = find_epoch(snapshot, epoch_id, moment_at(when, snapshot, now_s))
        if found is None:
            raise NotFound(f"there is no epoch {epoch_id.hex()}", code="unknown_epoch")
        return found


def find_epoch(snapshot: Snapshot, epoch_id: bytes, moment: Moment) -> EpochOut | None:
    """Return one epoch as it stood then, if there was one."""
    seq = snapshot.known_seq(epoch_id)
    row = None if seq is None else snapshot.epoch(seq)
    if seq is None or row is None or not moment.sees(seq, row.epoch.timestamp):
        return None
    return _epoch(snapshot, seq, row, moment)


def list_aliases(view: Viewed, listing: Listing, now_s: int, when: When = PRESENT) -> AliasesReply:
    """List the aliases there were then, in the order of the log."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        page, cursor = _seen_page(list_name("aliases", when), snapshot.joins, listing, moment)
        return AliasesReply([_alias(*each) for each in page], cursor)


def show_alias(view: Viewed, content_id: bytes, now_s: int, when: When = PRESENT) -> AliasOut:
    """Return one alias by its id; raises `NotFound`."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        return _alias(*_seen(snapshot, content_id, snapshot.joins, moment, "alias"))


def list_gold_standards(
    view: Viewed, listing: Listing, now_s: int, when: When = PRESENT
) -> GoldStandardsReply:
    """List the gold standards there were then, in the order of the log."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        page, cursor = _seen_page(list_name("golds", when), snapshot.golds, listing, moment)
        return GoldStandardsReply([_gold(*each) for each in page], cursor)


def show_gold_standard(view: Viewed, content_id: bytes, now_s: int, when: When = PRESENT) -> GoldStandardOut:
    """Return one gold standard by its id; raises `NotFound`."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        return _gold(*_seen(snapshot, content_id, snapshot.golds, moment, "gold standard"))


def show_agent(view: Viewed, agent_id: bytes, now_s: int, when: When = PRESENT) -> AgentReply:
    """Return an agent's trust and judgements then; an agent nobody has heard of has the neutral trust.

    The number of claims is that of the present: it is counted, not looked up.
    """
    with view.snapshot() as snapshot:
        around = Surroundings(snapshot, moment_at(when, snapshot, now_s))
        row = around.last_judgement(agent_id)
        return AgentReply(
            agent_id.hex(),
            rounded(around.trust(agent_id)),
            row.accurate if row else 0,
            row.inaccurate if row else 0,
            snapshot.agent_claims_count(agent_id),
        )


def find_source(snapshot: Snapshot, source_hash: bytes, around: Surroundings) -> SourceOut | None:
    """Return one source without its content, if there is one."""
    row = snapshot.source(source_hash)
    if row is None or not around.moment.sees(row.seq, row.timestamp):
        return None
    return _source(around, source_hash, row)


def _seen_page(
    name: str, rows: Callable[[int], Iterator[tuple[int, Timed]]], listing: Listing, moment: Moment
) -> tuple[list[tuple[int, Timed]], str | None]:
    """Return a page of what has a seq and a time of its own, as far as the moment sees it."""
    found = (each for each in rows(after_seq(name, listing)) if moment.sees(each[0], each[1].timestamp))
    return cut_page(name, found, listing, lambda each: u64(each[0]))


def _seen(
    snapshot: Snapshot,
    content_id: bytes,
    rows: Callable[[int], Iterator[tuple[int, Timed]]],
    moment: Moment,
    what: str,
) -> tuple[int, Timed]:
    """Return one of these by its id; raises `NotFound` where the moment does not see it."""
    seq = snapshot.known_seq(content_id)
    found = None if seq is None else next(rows(seq - 1), None)
    if found is None or found[0] != seq or not moment.sees(found[0], found[1].timestamp):
        raise NotFound(f"there is no {what} {content_id.hex()}", code=f"unknown_{what.replace(' ', '_')}")
    return found


def _require_source(snapshot: Snapshot, source_hash: bytes, moment: Moment) -> SourceRow:
    row = snapshot.source(source_hash)
    if row is None or not moment.sees(row.seq, row.timestamp):
        if snapshot.erased_at(source_hash) is not None:
            raise Gone(f"source {source_hash.hex()} was erased")
        raise NotFound(f"there is no source {source_hash.hex()}", code="unknown_source")
    return row


def _source(
    around: Surroundings, source_hash: bytes, row: SourceRow, content: str | None = None
) -> SourceOut:
    status = around.source_status(source_hash)
    return SourceOut(
        source_hash.hex(),
        row.title,
        row.url,
        None if row.source_class is None else TIER_NAMES[row.source_class],
        SOURCE_STATUS_NAMES[status] if status is not None else SOURCE_STATUS_NAMES[min(SOURCE_STATUS_NAMES)],
        row.timestamp,
        row.seq,
        content,
    )


def _epoch(snapshot: Snapshot, seq: int, row: EpochRow, moment: Moment) -> EpochOut:
    epoch = row.epoch
    return EpochOut(
        row.id.hex(),
        epoch.name,
        None if epoch.supersedes is None else epoch.supersedes.hex(),
        SUPERSESSION_NAMES[epoch.supersession],
        epoch.timestamp,
        epoch.agent_id.hex(),
        row.signature.hex(),
        seq,
        [each.by.hex() for at, each in snapshot.superseded(row.id) if moment.sees(at, each.timestamp)],
    )


def _alias(seq: int, row: JoinRow) -> AliasOut:
    return AliasOut(alias_id(row.first, row.second).hex(), row.first, row.second, row.timestamp, seq)


def _gold(seq: int, row: GoldRow) -> GoldStandardOut:
    return GoldStandardOut(
        row.id.hex(), row.subject, row.predicate, value_to_wire(row.object), row.timestamp, seq
    )
