"""The list of agents with quotas of their own."""

from __future__ import annotations

from stemedb.model.guard_replies import QuotaOut, QuotasReply
from stemedb.query.moment import US_PER_S
from stemedb.query.paging import Listing, cut_page
from stemedb.store import View

_LIST = "quotas"


def list_quotas(view: View, listing: Listing) -> QuotasReply:
    """List the agents with quotas of their own, by id; raises `Invalid` for a cursor of another list."""
    with view.snapshot() as snapshot:
        found = snapshot.quotas(listing.place(_LIST))
        page, cursor = cut_page(_LIST, found, listing, lambda each: each[0])
    return QuotasReply(
        [
            QuotaOut(agent_id.hex(), row.tokens, row.seq, row.set_at // US_PER_S, row.by.hex() or None)
            for agent_id, row in page
        ],
        cursor,
    )
