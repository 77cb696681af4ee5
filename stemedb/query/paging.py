"""Pages of lists: how many items, from where on, and the cursor to the next page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple, TypeVar

from stemedb import limits
from stemedb.query.cursor import decode_place, encode_place
from stemedb.query.moment import PRESENT
from stemedb.query.question import When
from stemedb.store.keys import seq_of

Item = TypeVar("Item")


class Listing(NamedTuple):
    """What a list request asks for: how many, and from where on."""

    limit: int = limits.PAGE_ITEMS_DEFAULT
    cursor: str | None = None

    def place(self, name: str) -> bytes | None:
        """Return the key behind which the page begins; raises `Invalid` for a cursor of another list."""
        return None if self.cursor is None else decode_place(name, self.cursor)


def list_name(name: str, when: When) -> str:
    """Return the name of a list as it stood at `when`: a cursor of one moment is refused at another."""
    return name if when == PRESENT else f"{when.as_of}/{when.known_at}/{when.known_at_us}:{name}"


def cut_page(
    name: str, found: Iterable[Item], listing: Listing, place: Callable[[Item], bytes]
) -> tuple[list[Item], str | None]:
    """Cut one page off; where there is more, return a cursor that stands behind it."""
    page = list(islice(found, listing.limit + 1))
    if len(page) <= listing.limit:
        return page, None
    page.pop()
    return page, encode_place(name, place(page[-1]))


def after_seq(name: str, listing: Listing) -> int:
    """Return the seq behind which the page of a list in the order of the log begins."""
    place = listing.place(name)
    return 0 if place is None else seq_of(place)
