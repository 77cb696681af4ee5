"""From a row's cells to a claim.

Each field of a claim is given by a small text: the name of a column, or `=` and a constant in which
`{column}` stands for that row's cell (`{{` and `}}` for braces). A field not mentioned is taken from the
column of the same name, if there is one.
"""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from stemedb.cli.values import KIND_OPTIONS, guess_kind, number, timestamp, value_fields
from stemedb.errors import Invalid
from stemedb.model.wire import (
    LIFECYCLES,
    TIERS_BY_NAME,
    AssertionIn,
    SignatureIn,
    assertion_from_wire,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from stemedb.model import Assertion, SignedAssertion

FIELDS = (
    "subject",
    "predicate",
    "object",
    "type",
    "confidence",
    "timestamp",
    "source",
    "source_class",
    "source_hash",
    "lifecycle",
)
REQUIRED = ("subject", "predicate", "object")
GUESS = "guess"
TYPES = (*KIND_OPTIONS, GUESS)


class Template(NamedTuple):
    """A field's rule: fixed text and, between, the columns whose cells go there."""

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, field: str, text: str) -> Template:
        """Read `COLUMN` or `=TEXT`; raises `Invalid`."""
        if not text.startswith("="):
            return cls((("", text),)) if _is_column(field, text) else cls(((text, None),))
        try:
            parts = tuple(Formatter().parse(text[1:]))
        except ValueError as error:
            raise Invalid(f"{text!r} is no template: {error}", hint="Write {{ for a brace.") from None
        if any(spec or conversion for _, _, spec, conversion in parts):
            raise Invalid(f"{text!r} is no template: only {{column}} may stand in braces")
        return cls(tuple((literal, column) for literal, column, _, _ in parts))

    @property
    def columns(self) -> list[str]:
        """The columns it needs."""
        return [column for _, column in self.parts if column is not None]

    def fill(self, cells: dict[str, Any]) -> Any:  # noqa: ANN401 - a JSON cell may be anything
        """Return this row's value; a lone column's cell keeps its JSON type. Raises `Invalid` if it lacks."""
        if len(self.parts) == 1 and not self.parts[0][0] and self.parts[0][1] is not None:
            return _cell(cells, self.parts[0][1])
        texts = [
            literal + ("" if column is None else _text(_cell(cells, column)))
            for literal, column in self.parts
        ]
        return "".join(texts)


def _is_column(field: str, text: str) -> bool:
    """Say whether `text` without `=` names a column: not if it is plainly a value of that field."""
    literal: dict[str, Callable[[str], object]] = {
        "confidence": number,
        "timestamp": timestamp,
        "type": TYPES.index,
        "source_class": TIERS_BY_NAME.__getitem__,
        "lifecycle": LIFECYCLES.__getitem__,
    }
    if field not in literal:
        return True
    try:
        literal[field](text)
    except (Invalid, ValueError, KeyError):
        return True
    return False


def _cell(cells: dict[str, Any], column: str) -> Any:  # noqa: ANN401 - as in `fill`
    if column not in cells:
        raise Invalid(f"has no {column!r}")
    return cells[column]


def _text(cell: object) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, (bool, int, float)):
        return msgspec.json.encode(cell).decode()
    raise Invalid("holds a list, an object or null where text is needed")


class Mapping:
    """The rules of all fields, ready for rows."""

    def __init__(
        self, given: dict[str, str], columns: tuple[str, ...] | None, *, strip: bool = False
    ) -> None:
        """Read the rules; `columns` are a CSV file's, None for NDJSON. Raises `Invalid` for a missing one."""
        self._strip = strip
        self._rules = {field: Template.parse(field, text) for field, text in given.items()}
        self._lax = columns is None
        for field in FIELDS:
            if field not in self._rules and (columns is None or field in columns):
                self._rules[field] = Template(((("", field)),))
        for field in REQUIRED:
            if field not in self._rules:
                raise _missing(
                    f"nothing says where the {field} comes from", columns, f"Say --{field} COLUMN. "
                )
        for field, rule in self._rules.items():
            for column in rule.columns:
                if columns is not None and column not in columns:
                    raise _missing(f"no column is called {column!r} (for the {field})", columns)
        self._explicit = frozenset(given)

    def may_carry_signatures(self) -> bool:
        """Say whether a row may be an exported claim: not if the caller says who claims it."""
        return self._lax and "source" not in self._explicit

    def names_source(self) -> bool:
        """Say whether rows say who claims them."""
        return "source" in self._rules

    def source(self, cells: dict[str, Any]) -> str:
        """Return who claims this row; raises `Invalid`."""
        name = _text(self._value("source", cells))
        if not name:
            raise Invalid("names no source")
        return name

    def assertion(self, cells: dict[str, Any], default_timestamp: int) -> Assertion | None:
        """Return what the row claims, None if its object is empty; raises `Invalid` with what is wrong."""
        given = self._value("object", cells)
        if given is None or given == "":
            return None
        wire = AssertionIn(
            subject=_text(self._value("subject", cells)),
            predicate=_text(self._value("predicate", cells)),
            object=self._object(given, cells),
            confidence=self._confidence(cells),
            timestamp=self._timestamp(cells, default_timestamp),
            source_class=self._optional("source_class", cells),
            source_hash=self._optional("source_hash", cells),
            lifecycle=self._optional("lifecycle", cells) or "Proposed",
        )
        return assertion_from_wire(wire).assertion

    def _value(self, field: str, cells: dict[str, Any]) -> Any:  # noqa: ANN401 - as in `fill`
        value = self._rules[field].fill(cells)
        return value.strip() if self._strip and isinstance(value, str) else value

    def _optional(self, field: str, cells: dict[str, Any]) -> str | None:
        """Return a field's text; None where it is empty, or not there and never asked for."""
        if field not in self._rules or (self._lax and field not in self._explicit and field not in cells):
            return None
        value = self._value(field, cells)
        return None if value is None or value == "" else _text(value)

    def _object(self, given: Any, cells: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - as in `fill`
        if isinstance(given, dict):
            return given
        name = (self._optional("type", cells) or "").lower()
        if name not in ("", *TYPES):
            raise Invalid(f"type {name!r} is none of {', '.join(TYPES)}")
        if name in {"", GUESS} and isinstance(given, (bool, int, float)):
            return {"type": "Boolean" if isinstance(given, bool) else "Number", "value": given}
        text = _text(given)
        return value_fields(text, guess_kind(text) if name == GUESS else KIND_OPTIONS[name or "text"])

    def _confidence(self, cells: dict[str, Any]) -> float:
        text = self._optional("confidence", cells)
        return 1.0 if text is None else float(number(text))

    def _timestamp(self, cells: dict[str, Any], default: int) -> int:
        text = self._optional("timestamp", cells)
        return default if text is None else timestamp(text)


def _missing(what: str, columns: tuple[str, ...] | None, hint: str = "") -> Invalid:
    known = f"The file has {', '.join(columns)}." if columns else "The file has no columns."
    return Invalid(what, code="no_such_column", hint=hint + known)


class _Signed(msgspec.Struct):
    """The fields of an exported claim that make it up; what a server added is passed over."""

    subject: str
    predicate: str
    object: dict[str, Any]
    confidence: float
    timestamp: int
    source_class: str
    source_hash: str
    lifecycle: str
    signatures: list[SignatureIn]
    hash: str
    epoch: str | None = None
    parent_hash: str | None = None
    visual_hash: str | None = None
    vector: list[float] | None = None


def exported_claim(cells: dict[str, Any]) -> SignedAssertion | None:
    """Return the claim of an exported row with the signatures it carries, None if it is none."""
    if not cells.get("signatures"):
        return None
    try:
        wire = msgspec.convert(cells, type=_Signed)
    except msgspec.ValidationError as error:
        raise Invalid(f"is no exported claim: {error}") from None
    return assertion_from_wire(AssertionIn(**msgspec.structs.asdict(wire)))
