"""The list of API keys, without their secrets."""

from __future__ import annotations

from itertools import islice

from stemedb.model.keys_wire import KeysReply, KeyState, show_key
from stemedb.query.cursor import encode_place
from stemedb.query.paging import Listing
from stemedb.store import View

_US_PER_S = 1_000_000
_LIST = "api_keys"


def list_keys(view: View, listing: Listing, now_s: float) -> KeysReply:
    """List the keys by id, revoked ones too."""
    with view.snapshot() as snapshot:
        found = list(islice(snapshot.api_keys(listing.place(_LIST)), listing.limit + 1))
    shown = [
        show_key(
            key_id, row.key, KeyState(row.created_at // _US_PER_S, row.is_live(now_s), bool(row.revoked_seq))
        )
        for key_id, row in found[: listing.limit]
    ]
    more = len(found) > listing.limit
    return KeysReply(shown, encode_place(_LIST, found[listing.limit - 1][0]) if more else None)
