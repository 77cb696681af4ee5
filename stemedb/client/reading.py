"""Asking: questions with every lens, quarrels, layers, rules, changes, and the feed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import overload

from stemedb import limits
from stemedb.client.connected import Connected, Params
from stemedb.client.filters import ALL, Filters
from stemedb.client.verify import verify_record
from stemedb.errors import Invalid, Unprocessable
from stemedb.model.replies import (
    ChangesReply,
    ClaimOut,
    ConstraintsReply,
    FeedReply,
    LayeredReply,
    LensReply,
    QueryReply,
    RecordOut,
    SkepticReply,
)

RULES_LENS = "constraints"
"""The lens that gives rules instead of a winner: a method of its own here."""


class Reading(Connected):
    """The methods that ask."""

    @overload
    def query(
        self,
        subject: str,
        predicate: str = ...,
        *,
        lens: None = None,
        filters: Filters = ...,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> QueryReply: ...

    @overload
    def query(self, subject: str, predicate: str, *, lens: str, filters: Filters = ...) -> LensReply: ...

    def query(
        self,
        subject: str,
        predicate: str = "*",
        *,
        lens: str | None = None,
        filters: Filters = ALL,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> QueryReply | LensReply:
        """Ask for a page of claims, newest first; with `lens`, for their resolution."""
        params = _question(subject, predicate, filters)
        if lens == RULES_LENS:
            raise Invalid("the lens constraints has no winner", hint="Call constraints() instead.")
        if lens is not None:
            answer = self._get("/v1/query", LensReply, (*params, ("lens", lens)))
            self._check([] if answer.winner is None else [answer.winner])
            return answer
        if limit is not None:
            params = (*params, ("limit", str(limit)))
        if cursor is not None:
            params = (*params, ("cursor", cursor))
        page = self._get("/v1/query", QueryReply, params)
        self._check(page.assertions)
        return page

    def claims(self, subject: str, predicate: str = "*", filters: Filters = ALL) -> Iterator[ClaimOut]:
        """Yield every matching claim, newest first, fetching page after page as of the first one's moment."""
        cursor = None
        while True:
            page = self.query(subject, predicate, filters=filters, limit=limits.PAGE_ITEMS_MAX, cursor=cursor)
            yield from page.assertions
            cursor = page.next_cursor
            if cursor is None:
                return

    def changes(
        self, subject: str, predicate: str, since: int | str, *, limit: int | None = None
    ) -> ChangesReply:
        """Return what was recorded about a subject and predicate after `since` (a position, or RFC 3339)."""
        params = (*_question(subject, predicate, ALL), ("since", str(since)))
        if limit is not None:
            params = (*params, ("limit", str(limit)))
        found = self._get("/v1/query", ChangesReply, params)
        self._check_records(found.changes)
        return found

    def skeptic(self, subject: str, predicate: str, filters: Filters = ALL) -> SkepticReply:
        """Return the quarrel itself: every value, with its share of all weight."""
        answer = self._get("/v1/skeptic", SkepticReply, _question(subject, predicate, filters))
        self._check(each.newest for each in answer.claims)
        return answer

    def layered(self, subject: str, predicate: str, filters: Filters = ALL) -> LayeredReply:
        """Return each tier's winner, most authoritative first, and how much the tiers disagree."""
        answer = self._get("/v1/layered", LayeredReply, _question(subject, predicate, filters))
        self._check(layer.winner for layer in answer.tiers)
        self._check([] if answer.winner is None else [answer.winner])
        return answer

    def constraints(self, subject: str, predicate: str = "*", filters: Filters = ALL) -> ConstraintsReply:
        """Return the rules of a subject; `predicate` may narrow them to `must_use` or `forbidden`."""
        answer = self._get("/v1/constraints", ConstraintsReply, _question(subject, predicate, filters))
        self._check(rule.claim for rule in answer.constraints)
        return answer

    def feed(self, after: int = 0, *, limit: int | None = None, wait_s: float = 0.0) -> FeedReply:
        """Return the records behind position `after`; where there are none, wait for one.

        `wait_s` is cut to half of the connection's timeout, so that waiting is not taken for silence.
        Raises `Invalid` (`past_head`) for a position that the log does not have.
        """
        params: Params = (("after", str(after)),)
        if limit is not None:
            params = (*params, ("limit", str(limit)))
        if wait_s > 0:
            params = (*params, ("wait", f"{min(wait_s, self._timeout_s / 2):.3f}"))
        found = self._get("/v1/feed", FeedReply, params)
        self._check_records(found.records)
        return found

    def follow(self, after: int = 0) -> Iterator[RecordOut]:
        """Yield every record behind `after` and then each new one, for ever and without a gap.

        Raises what `feed` raises; after `Unavailable`, follow on from the last record's `seq`.
        """
        while True:
            began_s = time.monotonic()
            found = self.feed(after, limit=limits.PAGE_ITEMS_MAX, wait_s=limits.CLIENT_FEED_WAIT_S)
            for record in found.records:
                after += 1
                if record.seq != after:
                    raise Unprocessable(
                        f"the feed goes on with record {record.seq} instead of {after}",
                        code="reply_unverified",
                        hint="Do not trust this server.",
                    )
                yield record
            # Where too many wait already, the server answers at once: do not ask again in the same breath.
            if not found.records and time.monotonic() - began_s < limits.CLIENT_BACKOFF_S:
                time.sleep(limits.FEED_LOOK_S)

    def _check_records(self, records: list[RecordOut]) -> None:
        if self._verify:
            for record in records:
                verify_record(record)


def _question(subject: str, predicate: str, filters: Filters) -> Params:
    return (("subject", subject), ("predicate", predicate), *filters.params())
