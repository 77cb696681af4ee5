"""What a reader may ask: the parameters of a question, typed and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from math import isfinite, nan
from typing import Any, NamedTuple, TypeVar

import msgspec

from stemedb import limits
from stemedb.lens import LENSES, constraints
from stemedb.model.claim import Lifecycle, Tier
from stemedb.model.wire import TIERS_BY_NAME, Faults

ANY_PREDICATE = "*"
CONSTRAINTS = "constraints"
"""The lens that gives rules instead of a winner, and needs no predicate."""

LIVE_STAGES = frozenset({Lifecycle.PROPOSED, Lifecycle.UNDER_REVIEW, Lifecycle.APPROVED})
STAGES: Mapping[str, frozenset[Lifecycle]] = {
    "proposed": frozenset({Lifecycle.PROPOSED}),
    "under_review": frozenset({Lifecycle.UNDER_REVIEW}),
    "approved": frozenset({Lifecycle.APPROVED}),
    "deprecated": frozenset({Lifecycle.DEPRECATED}),
    "rejected": frozenset({Lifecycle.REJECTED}),
    "any": frozenset(Lifecycle),
}

CHOICES: Mapping[str, tuple[str, ...]] = {
    "lens": (*LENSES, CONSTRAINTS),
    "lifecycle": tuple(STAGES),
    "source_class": tuple(TIERS_BY_NAME),
    "rule": (*constraints.RULES, ANY_PREDICATE),
}
"""The names that a parameter may have; `rule` is the predicate where rules are asked for."""

Item = TypeVar("Item")
Parse = Callable[[Faults, str, str], Any]
"""Reads one parameter's text; what is wrong with it goes to the faults, under the given pointer."""


class Question(msgspec.Struct, frozen=True, array_like=True):
    """A question, without the moment at which it is asked.

    `as_of` is Unix seconds. `known_at` and `since` are positions in the log; given as times they are
    `known_at_us` and `since_us`, in microseconds. `vector_near` is a vector, or the id of a claim with one.
    `at` is no parameter: a position and a clock (Unix seconds), the moment of an answer that is given again.
    """

    subject: str
    predicate: str | None = None
    lens: str | None = None
    stages: frozenset[Lifecycle] = LIVE_STAGES
    epoch: bytes | None = None
    tiers: frozenset[Tier] | None = None
    agent_id: bytes | None = None
    min_confidence: float = 0.0
    as_of: int | None = None
    known_at: int | None = None
    known_at_us: int | None = None
    decay: bool = True
    aliases: bool = False
    visual_near: bytes | None = None
    visual_threshold: int = limits.VISUAL_THRESHOLD_DEFAULT
    vector_near: bytes | tuple[float, ...] | None = None
    k: int = limits.NEAREST_DEFAULT
    since: int | None = None
    since_us: int | None = None
    limit: int = limits.PAGE_ITEMS_DEFAULT
    cursor: str | None = None
    at: tuple[int, int] | None = None

    @property
    def shows_hidden(self) -> bool:
        """Whether claims that a child hides are shown: only where every stage is asked for."""
        return len(self.stages) == len(Lifecycle)

    @property
    def when(self) -> When:
        """The moment it asks for."""
        return When(self.as_of, self.known_at, self.known_at_us)

    def about(self, predicate: str) -> Question:
        """Return the same question about another predicate."""
        return msgspec.structs.replace(self, predicate=predicate)


def is_of_now(question: Question) -> bool:
    """Say whether a question is about the present and about the claims of its subject alone."""
    return not question.aliases and all(
        each is None
        for each in (
            question.as_of,
            question.known_at,
            question.known_at_us,
            question.since,
            question.since_us,
            question.cursor,
            question.at,
            question.vector_near,
        )
    )


def parse_question(params: Mapping[str, Sequence[str]], *, allowed: frozenset[str] | None = None) -> Question:
    """Read the parameters of a request; `allowed` narrows which of `PARAMETERS` the path knows.

    Raises `Invalid` with every fault found, each named by its parameter.
    """
    faults = Faults()
    fields: dict[str, Any] = {}
    for name, values in params.items():
        if name not in _PARSERS or (allowed is not None and name not in allowed):
            faults.add(f"/{name}", "is not a parameter of this path")
        elif name in REPEATABLE:
            field, parse = _PARSERS[name]
            fields[field] = frozenset(parse(faults, f"/{name}", text) for text in values)
        elif len(values) > 1:
            faults.add(f"/{name}", "may be given once")
        else:
            field, parse = _PARSERS[name]
            fields[field] = parse(faults, f"/{name}", values[0])
    if "subject" not in params:
        faults.add("/subject", "is required")
    _require_predicate(faults, fields)
    faults.raise_if_any()
    for name in ("known_at", "since"):
        if isinstance(fields.get(name), datetime):
            fields[f"{name}_us"] = _microseconds(fields.pop(name))
    return Question(**fields)


def _require_predicate(faults: Faults, fields: Mapping[str, object]) -> None:
    """Note where a question about all predicates asks for what works inside one only."""
    if fields.get("predicate") is not None:
        return
    if fields.get("lens") not in {None, CONSTRAINTS}:
        faults.add("/predicate", "a lens needs one predicate")
    for name in ("visual_near", "vector_near", "since"):
        if name in fields:
            faults.add("/predicate", f"{name} works inside one predicate")


class When(NamedTuple):
    """The moment that a read asks for; the present where nothing is given. Units as in `Question`."""

    as_of: int | None = None
    known_at: int | None = None
    known_at_us: int | None = None


WHEN_PARAMETERS = ("as_of", "known_at")


def read_when(params: Mapping[str, str]) -> When:
    """Return the moment that `as_of` and `known_at` among the parameters ask for; raises `Invalid`."""
    faults = Faults()
    as_of, known_at = params.get("as_of"), params.get("known_at")
    when = When(None if as_of is None else _as_of(faults, "/as_of", as_of))
    if known_at is not None:
        known = _known_at(faults, "/known_at", known_at)
        if isinstance(known, datetime):
            when = when._replace(known_at_us=_microseconds(known))
        else:
            when = when._replace(known_at=known)
    faults.raise_if_any()
    return when


def read_time_s(pointer: str, text: str) -> int:
    """Return a time in Unix seconds, given so or as RFC 3339; raises `Invalid` at `pointer`."""
    faults = Faults()
    found = _as_of(faults, pointer, text)
    faults.raise_if_any()
    return found


def _name(bytes_max: int) -> Parse:
    return lambda faults, pointer, text: faults.name(pointer, text, bytes_max)


def _predicate(faults: Faults, pointer: str, text: str) -> str | None:
    return None if text == ANY_PREDICATE else faults.name(pointer, text, limits.PREDICATE_BYTES_MAX)


def _choice(choices: Mapping[str, Item]) -> Callable[[Faults, str, str], Item | None]:
    def parse(faults: Faults, pointer: str, text: str) -> Item | None:
        if text not in choices:
            faults.add(pointer, f"must be one of {', '.join(choices)}")
        return choices.get(text)

    return parse


def _binary(size_bytes: int) -> Parse:
    return lambda faults, pointer, text: faults.binary(pointer, text, size_bytes)


def _fraction(faults: Faults, pointer: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not 0.0 <= number <= 1.0:
        faults.add(pointer, "must be a number from 0 to 1")
    return number


def _integer(low: int, high: int) -> Callable[[Faults, str, str], int]:
    def parse(faults: Faults, pointer: str, text: str) -> int:
        # The length keeps a megabyte of digits out of int().
        if _is_integer(text) and len(text) <= _DIGITS_MAX and low <= int(text) <= high:
            return int(text)
        faults.add(pointer, f"must be a whole number from {low} to {high}")
        return low

    return parse


def _is_integer(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _moment(faults: Faults, pointer: str, text: str) -> datetime:
    """Read an RFC 3339 time; the offset is required."""
    try:
        moment = datetime.fromisoformat(_SUBSECOND.sub(_six_digits, text.upper()).replace("Z", "+00:00"))
        if moment.tzinfo is not None and len(text) >= len("2026-01-01T00:00:00Z"):
            return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        pass
    faults.add(pointer, "must be a whole number or an RFC 3339 time, such as 2026-01-31T12:00:00Z")
    return _EPOCH


def _six_digits(fraction: re.Match[str]) -> str:
    """Python 3.10 reads a fraction of a second only with three or six digits."""
    return "." + fraction[1][:6].ljust(6, "0")


def _as_of(faults: Faults, pointer: str, text: str) -> int:
    if _is_integer(text):
        return _integer(0, limits.TIMESTAMP_S_MAX)(faults, pointer, text)
    return max(0, _microseconds(_moment(faults, pointer, text)) // 1_000_000)


def _known_at(faults: Faults, pointer: str, text: str) -> int | datetime:
    if _is_integer(text):
        return _integer(1, limits.TIMESTAMP_S_MAX)(faults, pointer, text)
    return _moment(faults, pointer, text)


def _vector(faults: Faults, pointer: str, text: str) -> bytes | tuple[float, ...]:
    """Read a claim's id, or numbers with commas between them."""
    if len(text) == _ID_DIGITS and "," not in text:
        return faults.binary(pointer, text, 32)
    numbers = text.split(",", limits.VECTOR_NUMBERS_MAX)
    try:
        vector = tuple(map(float, numbers))
    except ValueError:
        vector = ()
    if not vector or len(vector) > limits.VECTOR_NUMBERS_MAX or not all(map(isfinite, vector)):
        faults.add(pointer, f"must be a claim's id, or 1 to {limits.VECTOR_NUMBERS_MAX} numbers and commas")
    return vector


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DIGITS_MAX = 20
_ID_DIGITS = 64
_BOOLEAN = _choice({"true": True, "false": False})
_SUBSECOND = re.compile(r"\.(\d+)")

_PARSERS: Mapping[str, tuple[str, Parse]] = {
    "subject": ("subject", _name(limits.SUBJECT_BYTES_MAX)),
    "predicate": ("predicate", _predicate),
    "lens": ("lens", _choice({name: name for name in CHOICES["lens"]})),
    "lifecycle": ("stages", _choice(STAGES)),
    "epoch": ("epoch", _binary(32)),
    "source_class": ("tiers", _choice(TIERS_BY_NAME)),
    "agent_id": ("agent_id", _binary(32)),
    "min_confidence": ("min_confidence", _fraction),
    "as_of": ("as_of", _as_of),
    "known_at": ("known_at", _known_at),
    "since": ("since", _known_at),
    "decay": ("decay", _BOOLEAN),
    "aliases": ("aliases", _BOOLEAN),
    "visual_near": ("visual_near", _binary(8)),
    "visual_threshold": ("visual_threshold", _integer(0, limits.VISUAL_BITS)),
    "vector_near": ("vector_near", _vector),
    "k": ("k", _integer(1, limits.PAGE_ITEMS_MAX)),
    "limit": ("limit", _integer(1, limits.PAGE_ITEMS_MAX)),
    "cursor": ("cursor", lambda _faults, _pointer, text: text),
}

PARAMETERS = frozenset(_PARSERS)
REPEATABLE = frozenset({"source_class"})
SKEPTIC_PARAMETERS = PARAMETERS - {"lens", "limit", "cursor", "since", "vector_near", "k"}
