"""From what is typed to what is claimed: values, times."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from math import isfinite

from stemedb.errors import Invalid
from stemedb.model import ObjectKind
from stemedb.model.fields import Scalar
from stemedb.model.wire import KIND_NAMES

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_REFERENCE = re.compile(r"[a-z][a-z0-9+.-]*://\S+\Z")
_BOOLEANS = {"true": True, "false": False}
KIND_OPTIONS = {
    "text": ObjectKind.TEXT,
    "number": ObjectKind.NUMBER,
    "boolean": ObjectKind.BOOLEAN,
    "reference": ObjectKind.REFERENCE,
}


def guess_kind(text: str) -> ObjectKind:
    """Say what `text` looks like: `true`/`false`, a JSON number, `scheme://...`, else text.

    `007` and `1,5` stay text: nothing is guessed that would lose a character.
    """
    if text in _BOOLEANS:
        return ObjectKind.BOOLEAN
    if _NUMBER.match(text) and isfinite(float(text)):
        return ObjectKind.NUMBER
    return ObjectKind.REFERENCE if _REFERENCE.match(text) else ObjectKind.TEXT


def value_fields(text: str, kind: ObjectKind) -> dict[str, Scalar]:
    """Return the JSON object of a claim's value; raises `Invalid` if `text` is not of that kind."""
    value: Scalar = text
    if kind is ObjectKind.BOOLEAN:
        if text.lower() not in _BOOLEANS:
            raise Invalid(f"{text!r} is neither true nor false", code="bad_value")
        value = _BOOLEANS[text.lower()]
    elif kind is ObjectKind.NUMBER:
        value = number(text)
    return {"type": KIND_NAMES[kind], "value": value}


def number(text: str) -> int | float:
    """Return a number as JSON would read it: integers stay whole, so that too large ones are noticed."""
    try:
        value = int(text) if re.match(r"-?[0-9]+\Z", text) else float(text)
    except ValueError:
        raise Invalid(f"{text!r} is no number", code="bad_value") from None
    if isinstance(value, float) and not isfinite(value):
        raise Invalid(f"{text!r} is not a finite number", code="bad_value")
    return value


def timestamp(text: str) -> int:
    """Return Unix seconds from Unix seconds, a day (UTC midnight) or RFC 3339; raises `Invalid`.

    A time of day needs its offset (`Z` or `+02:00`): a claim's id must not depend on where it was typed.
    """
    text = text.strip()
    if re.match(r"[0-9]{1,19}\Z", text):
        return int(text)
    try:
        if re.match(r"\d{4}-\d{2}-\d{2}\Z", text):
            moment = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
        else:
            moment = datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Invalid(
            f"{text!r} is no time",
            code="bad_time",
            hint="Use Unix seconds, 2026-03-01 or 2026-03-01T12:00:00Z.",
        )
    return int(moment.timestamp())


def shown_time(seconds: int) -> str:
    """Return Unix seconds as a person reads them, in UTC; numbers beyond the calendar stay numbers."""
    try:
        moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return str(seconds)
    midnight = moment.time() == datetime.min.time()
    return moment.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M:%SZ")
