"""What paths read the same way: ids in paths, times of their own, and the plain parameters of lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stemedb import limits
from stemedb.api.call import Call
from stemedb.api.routes import Parameter
from stemedb.errors import Fault, Invalid
from stemedb.query import Listing

_ID_BYTES: Final = 32
_DIGITS_MAX: Final = 18  # keeps a megabyte of digits out of int(), and the number inside 64 bits

NO_CONTROL: Final = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
ID: Final[dict[str, object]] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
KEY_ID: Final[dict[str, object]] = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
LIMIT: Final = Parameter(
    "limit",
    {
        "type": "integer",
        "minimum": 1,
        "maximum": limits.PAGE_ITEMS_MAX,
        "default": limits.PAGE_ITEMS_DEFAULT,
    },
    "items on one page",
)
CURSOR: Final = Parameter(
    "cursor",
    {"type": "string", "maxLength": limits.CURSOR_BYTES_MAX},
    "`next_cursor` of the page before",
)

RFC_3339: Final[dict[str, object]] = {"type": "string", "format": "date-time"}
POSITION: Final[dict[str, object]] = {
    "type": "integer",
    "minimum": 1,
    "maximum": limits.TIMESTAMP_S_MAX,
}
WHEN: Final = (
    Parameter(
        "as_of",
        {"anyOf": [{"type": "integer", "minimum": 0}, RFC_3339]},
        "the world as claimed then: Unix seconds or RFC 3339",
    ),
    Parameter(
        "known_at",
        {"anyOf": [POSITION, RFC_3339]},
        "what the server knew then: a position in the log or RFC 3339",
    ),
)


def fault(pointer: str, detail: str) -> Invalid:
    """Return the refusal of one field or parameter."""
    return Invalid(f"{pointer}: {detail}", code="validation", faults=(Fault(pointer, detail),))


def identifier(call: Call, name: str) -> bytes:
    """Return an id from the path; raises `Invalid`."""
    given = call.arguments[name]
    try:
        found = bytes.fromhex(given) if given == given.lower() else b""
    except ValueError:
        found = b""
    if len(found) != _ID_BYTES or len(given) != 2 * _ID_BYTES:
        raise Invalid(f"an id is {2 * _ID_BYTES} lower-case hex digits", code="bad_hex")
    return found


def refuse_future(pointer: str, timestamp: int, now_s: int) -> None:
    """Raise `Invalid` for a time (Unix seconds) that is further ahead than clocks may be apart."""
    if timestamp > now_s + limits.TIMESTAMP_AHEAD_S_MAX:
        raise fault(pointer, f"is more than {limits.TIMESTAMP_AHEAD_S_MAX} seconds in the future")


def single(call: Call, *allowed: str) -> dict[str, str]:
    """Return the parameters, each given once; raises `Invalid` for any but the `allowed` ones."""
    found = {}
    for name, values in call.parameters().items():
        if name not in allowed:
            raise fault(f"/{name}", "is not a parameter of this path")
        if len(values) > 1:
            raise fault(f"/{name}", "may be given once")
        found[name] = values[0]
    return found


def whole_number(found: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """Return a parameter that is a whole number from `low` to `high`; raises `Invalid`."""
    text = found.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and low <= int(text) <= high):
        raise fault(f"/{name}", f"must be a whole number from {low} to {high}")
    return int(text)


def listing(found: Mapping[str, str]) -> Listing:
    """Return which page of a list is asked for; raises `Invalid`."""
    return Listing(
        whole_number(found, "limit", limits.PAGE_ITEMS_DEFAULT, 1, limits.PAGE_ITEMS_MAX), found.get("cursor")
    )
