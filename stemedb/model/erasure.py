"""Erasing over HTTP: what is asked, and what is told of every copy of what is gone (claims.md 6)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stemedb import limits
from stemedb.model.fields import NO_CONTROL, Hash
from stemedb.model.wire import Faults

DONE = "done"
PENDING = "pending"

_ID_BYTES = 32
_Hashes = Annotated[list[Hash], msgspec.Meta(min_length=1, max_length=limits.ERASE_HASHES_MAX)]
_Reason = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=limits.ERASE_REASON_CHARS_MAX,
        extra_json_schema={"pattern": NO_CONTROL},
    ),
]
_UTF8_BYTES_MAX = 4  # of one character


class EraseIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be erased: ids of claims and sources, and why. `now`: old bytes of the view at once.

    The reason stays in the log for ever: it must not repeat what is to go.
    """

    hashes: _Hashes
    reason: _Reason
    now: bool = False


class CopyOut(msgspec.Struct, frozen=True):
    """One place that held the content: `state` is done, or pending until `until` (Unix seconds)."""

    name: str
    state: str
    until: int | None = None


class EraseReply(msgspec.Struct, frozen=True):
    """What became of it: `status` is created or exists; `seq` is that of the (last) erasure."""

    status: str
    seq: int
    copies: list[CopyOut]


def erase_ids(wanted: EraseIn) -> tuple[bytes, ...]:
    """Return the ids, each once; raises `Invalid` that names what is none, and a reason of several lines."""
    faults = Faults()
    found = [faults.binary(f"/hashes/{index}", text, _ID_BYTES) for index, text in enumerate(wanted.hashes)]
    faults.name("/reason", wanted.reason, _UTF8_BYTES_MAX * limits.ERASE_REASON_CHARS_MAX)
    faults.raise_if_any()
    return tuple(dict.fromkeys(found))
