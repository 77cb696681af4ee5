"""The feed: the log's records in order, as readers may see them."""

from __future__ import annotations

from stemedb.log import Log
from stemedb.model.feed import record_out
from stemedb.model.replies import FeedReply


def read_feed(log: Log, after_seq: int, limit: int) -> FeedReply:
    """Return at most `limit` records behind `after_seq`; `next` stands behind the last of them.

    It never waits: whoever wants to asks `log.wait` first.
    """
    records = log.read(after_seq + 1, limit)
    shown = [
        record_out(each.seq, each.recorded_at, each.type, each.body, redacted=each.redacted)
        for each in records
    ]
    return FeedReply(shown, records[-1].seq if records else after_seq)
