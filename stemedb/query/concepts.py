"""How much is said about what: subjects with counts, and crowds with nobody above them.

The counts of the present are kept by the fold; those of another moment are counted, claim by claim, within
the time that a question has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from stemedb.model.claim import Tier
from stemedb.model.replies import ConceptOut, ConceptsReply, EscalationOut, EscalationsReply
from stemedb.query.candidates import Deadline
from stemedb.query.moment import PRESENT, Moment, moment_at
from stemedb.query.paging import Listing, cut_page, list_name
from stemedb.query.question import When
from stemedb.query.watch import Viewed
from stemedb.store import Snapshot
from stemedb.store.fold_tables import is_crowd
from stemedb.store.keys import question_key

ANECDOTAL_CLUSTER = "anecdotal_cluster"


class _Counted(NamedTuple):
    """A subject and predicate with their claims, by tier."""

    subject: str
    predicate: str
    by_tier: tuple[int, ...]


def list_concepts(
    view: Viewed, prefix: str, listing: Listing, now_s: int, when: When = PRESENT
) -> ConceptsReply:
    """List the subjects that began with `prefix` then, in byte order, with how much was said about each.

    Raises `Invalid` for a cursor of another list or moment, `QueryTimeout` where counting takes too long.
    """
    with view.snapshot() as snapshot:
        name = list_name(f"concepts:{prefix}", when)
        counted = _counted_then(snapshot, prefix, listing.place(name), _moment(when, snapshot, now_s))
        grouped = (list(group) for _, group in groupby(counted, key=lambda each: each.subject))
        page, cursor = cut_page(name, grouped, listing, lambda each: question_key(*each[-1][:2]))
        return ConceptsReply([_concept(each) for each in page], cursor)


def list_escalations(view: Viewed, listing: Listing, now_s: int, when: When = PRESENT) -> EscalationsReply:
    """List where 500 or more anecdotal claims stood then with none of tiers 0 to 2 beside them.

    Raises `Invalid` for a cursor of another list or moment, `QueryTimeout` where counting takes too long.
    """
    with view.snapshot() as snapshot:
        name = list_name("escalations", when)
        place, moment = listing.place(name), _moment(when, snapshot, now_s)
        crowds: Iterable[_Counted]
        if moment is None:
            found = snapshot.escalations(place)
            crowds = (_Counted(*each, snapshot.question(*each).by_tier) for each in found)
        else:
            crowds = (each for each in _counted_then(snapshot, "", place, moment) if is_crowd(each.by_tier))
        page, cursor = cut_page(name, crowds, listing, lambda each: question_key(*each[:2]))
        return EscalationsReply(
            [
                EscalationOut(ANECDOTAL_CLUSTER, each.subject, each.predicate, each.by_tier[Tier.ANECDOTAL])
                for each in page
            ],
            cursor,
        )


def _moment(when: When, snapshot: Snapshot, now_s: int) -> Moment | None:
    """Return the moment asked for, None for the present."""
    return None if when == PRESENT else moment_at(when, snapshot, now_s)


def _counted_then(
    snapshot: Snapshot, prefix: str, after: bytes | None, moment: Moment | None
) -> Iterator[_Counted]:
    """Yield what had claims then. More was never said than is now, but for what was erased since."""
    deadline = Deadline()
    for subject, predicate, row in snapshot.questions(prefix, after):
        if moment is None:
            yield _Counted(subject, predicate, row.by_tier)
            continue
        counts = [0] * len(Tier)
        for _, claim in snapshot.walk(subject, predicate):
            deadline.look()
            counts[claim.assertion.source_class] += moment.sees(claim.seq, claim.assertion.timestamp)
        if any(counts):
            yield _Counted(subject, predicate, tuple(counts))


def _concept(questions: list[_Counted]) -> ConceptOut:
    return ConceptOut(questions[0].subject, sum(sum(each.by_tier) for each in questions), len(questions))
