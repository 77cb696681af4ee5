"""Lists, and single things beside claims: sources, epochs, aliases, gold standards, concepts, agents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby, islice
from typing import Any, NamedTuple, TypeVar

from stemedb import limits
from stemedb.errors import Gone, NotFound
from stemedb.model.claim import Tier
from stemedb.model.replies import (
    AgentReply,
    AliasesReply,
    AliasOut,
    ConceptOut,
    ConceptsReply,
    EpochOut,
    EpochsReply,
    EscalationOut,
    EscalationsReply,
    GoldStandardOut,
    GoldStandardsReply,
    ImpactReply,
    SourceOut,
    SourcesReply,
)
from stemedb.model.statements import alias_id
from stemedb.model.wire import SOURCE_STATUS_NAMES, SUPERSESSION_NAMES, TIER_NAMES, value_to_wire
from stemedb.query.claims import rounded, see, show
from stemedb.query.cursor import decode_place, encode_place
from stemedb.query.enrich import Surroundings
from stemedb.query.moment import PRESENT, Moment, moment_at
from stemedb.query.question import When
from stemedb.query.watch import Viewed
from stemedb.store import Snapshot
from stemedb.store.keys import question_key, seq_of, u64
from stemedb.store.rows import EpochRow, GoldRow, JoinRow, QuestionRow, SourceRow

ANECDOTAL_CLUSTER = "anecdotal_cluster"

Item = TypeVar("Item")


class Listing(NamedTuple):
    """What a list request asks for: how many, and from where on."""

    limit: int = limits.PAGE_ITEMS_DEFAULT
    cursor: str | None = None

    def place(self, name: str) -> bytes | None:
        """Return the key behind which the page begins; raises `Invalid` for a cursor of another list."""
        return None if self.cursor is None else decode_place(name, self.cursor)


def list_sources(view: Viewed, listing: Listing, now_s: int, when: When = PRESENT) -> SourcesReply:
    """List the sources known then by hash, without their content, each with its status then."""
    with view.snapshot() as snapshot:
        moment = moment_at(when, snapshot, now_s)
        around = Surroundings(snapshot, moment)
        found = (
            each
            for each in snapshot.sources(listing.place("sources"))
            if moment.sees(each[1].seq, each[1].timestamp)
        )
        page, cursor = _page("sources", found, listing, lambda each: each[0])
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
        name = f"impact:{source_hash.hex()}"
        ids = snapshot.source_claims(source_hash, listing.place(name))
        page, cursor = _page(name, ids, listing, lambda claim_id: claim_id)
        rows = [row for row in map(snapshot.claim, page) if row is not None]
        seen = [each for each in (see(row, moment, around) for row in rows) if each is not None]
        return ImpactReply(_source(around, source_hash, row), [show(each) for each in seen], cursor)


def list_epochs(view: Viewed, listing: Listing) -> EpochsReply:
    """List the epochs in the order of the log."""
    with view.snapshot() as snapshot:
        found = snapshot.epochs(_after_seq(listing, "epochs"))
        page, cursor = _page("epochs", found, listing, lambda each: u64(each[0]))
        return EpochsReply([_epoch(snapshot, *each, _all(snapshot)) for each in page], cursor)


def show_epoch(view: Viewed, epoch_id: bytes) -> EpochOut:
    """Return one epoch; raises `NotFound`."""
    with view.snapshot() as snapshot:
        found = find_epoch(snapshot, epoch_id, _all(snapshot))
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


def list_aliases(view: Viewed, listing: Listing) -> AliasesReply:
    """List the aliases in the order of the log."""
    with view.snapshot() as snapshot:
        found = snapshot.joins(_after_seq(listing, "aliases"))
        page, cursor = _page("aliases", found, listing, lambda each: u64(each[0]))
        return AliasesReply([_alias(*each) for each in page], cursor)


def show_alias(view: Viewed, content_id: bytes) -> AliasOut:
    """Return one alias by its id; raises `NotFound`."""
    with view.snapshot() as snapshot:
        seq, row = _at_known_seq(snapshot, content_id, snapshot.joins, "alias")
        return _alias(seq, row)


def list_gold_standards(view: Viewed, listing: Listing) -> GoldStandardsReply:
    """List the gold standards in the order of the log."""
    with view.snapshot() as snapshot:
        found = snapshot.golds(_after_seq(listing, "golds"))
        page, cursor = _page("golds", found, listing, lambda each: u64(each[0]))
        return GoldStandardsReply([_gold(*each) for each in page], cursor)


def show_gold_standard(view: Viewed, content_id: bytes) -> GoldStandardOut:
    """Return one gold standard by its id; raises `NotFound`."""
    with view.snapshot() as snapshot:
        seq, row = _at_known_seq(snapshot, content_id, snapshot.golds, "gold standard")
        return _gold(seq, row)


def list_concepts(view: Viewed, prefix: str, listing: Listing) -> ConceptsReply:
    """List the subjects that begin with `prefix`, in byte order, with how much is said about each."""
    with view.snapshot() as snapshot:
        name = f"concepts:{prefix}"
        questions = snapshot.questions(prefix, listing.place(name))
        subjects = ((subject, list(group)) for subject, group in groupby(questions, key=lambda each: each[0]))
        page, cursor = _page(name, subjects, listing, lambda each: question_key(*each[1][-1][:2]))
        return ConceptsReply([_concept(*each) for each in page], cursor)


def list_escalations(view: Viewed, listing: Listing) -> EscalationsReply:
    """List where 500 or more anecdotal claims stand with none of tiers 0 to 2 beside them."""
    with view.snapshot() as snapshot:
        found = snapshot.escalations(listing.place("escalations"))
        page, cursor = _page("escalations", found, listing, lambda each: question_key(*each))
        counts = [snapshot.question(*each).by_tier[Tier.ANECDOTAL] for each in page]
        crowds = [
            EscalationOut(ANECDOTAL_CLUSTER, *each, count) for each, count in zip(page, counts, strict=True)
        ]
        return EscalationsReply(crowds, cursor)


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


def _page(
    name: str, found: Iterable[Item], listing: Listing, place: Callable[[Item], bytes]
) -> tuple[list[Item], str | None]:
    """Cut one page off; where there is more, return a cursor that stands behind it."""
    page = list(islice(found, listing.limit + 1))
    if len(page) <= listing.limit:
        return page, None
    page.pop()
    return page, encode_place(name, place(page[-1]))


def _after_seq(listing: Listing, name: str) -> int:
    place = listing.place(name)
    return 0 if place is None else seq_of(place)


def _all(snapshot: Snapshot) -> Moment:
    """Return a moment that sees everything there is."""
    return Moment(snapshot.state.applied_seq, None, 0)


def _at_known_seq(
    snapshot: Snapshot, content_id: bytes, rows: Callable[[int], Any], what: str
) -> tuple[int, Any]:
    seq = snapshot.known_seq(content_id)
    if seq is not None:
        for at, row in rows(seq - 1):
            if at == seq:
                return at, row
            break
    raise NotFound(f"there is no {what} {content_id.hex()}", code=f"unknown_{what.replace(' ', '_')}")


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


def _concept(subject: str, questions: list[tuple[str, str, QuestionRow]]) -> ConceptOut:
    return ConceptOut(subject, sum(sum(row.by_tier) for _, _, row in questions), len(questions))
