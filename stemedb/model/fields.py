"""Types of JSON fields that say in the API's description what is checked of them.

The checks themselves are `wire.Faults`': it finds every fault at once and names each place, where msgspec's
own constraints would stop at the first. So these carry a schema and constrain nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from stemedb import limits
from stemedb.model.tiers import TIERS

NO_CONTROL: Final = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"


def _hex(size_bytes: int) -> Any:  # noqa: ANN401 - an annotation
    return Meta(extra_json_schema={"pattern": f"^[0-9a-f]{{{2 * size_bytes}}}$"})


def _name(bytes_max: int) -> Any:  # noqa: ANN401 - an annotation
    """Describe a name: its limit is in bytes of UTF-8, where JSON schema counts characters."""
    return Meta(
        extra_json_schema={
            "minLength": 1,
            "maxLength": bytes_max,
            "pattern": NO_CONTROL,
            "description": f"at most {bytes_max} bytes of UTF-8",
        }
    )


def _one_of(*names: str) -> Any:  # noqa: ANN401 - an annotation
    return Meta(extra_json_schema={"enum": list(names)})


def _value_forms() -> list[dict[str, Any]]:
    """Describe a claim's object: `{"type", "value"}`, or `{type: value}`."""
    kinds: dict[str, dict[str, Any]] = {
        "Text": {"type": "string", "maxLength": limits.TEXT_BYTES_MAX},
        "Number": {"type": "number"},
        "Boolean": {"type": "boolean"},
        "Reference": {
            "type": "string",
            "minLength": 1,
            "maxLength": limits.REFERENCE_BYTES_MAX,
            "pattern": NO_CONTROL,
        },
    }
    forms = [{"type": {"const": kind}, "value": value} for kind, value in kinds.items()]
    forms += [{kind: value} for kind, value in kinds.items()]
    return [{"properties": form, "required": list(form), "maxProperties": len(form)} for form in forms]


Scalar = str | int | float | bool
Hash = Annotated[str, _hex(32)]
SignatureText = Annotated[str, _hex(64)]
VisualHash = Annotated[str, _hex(8)]
Subject = Annotated[str, _name(limits.SUBJECT_BYTES_MAX)]
Predicate = Annotated[str, _name(limits.PREDICATE_BYTES_MAX)]
Title = Annotated[str, _name(limits.SOURCE_TITLE_BYTES_MAX)]
Url = Annotated[str, _name(limits.SOURCE_URL_BYTES_MAX)]
Content = Annotated[str, Meta(extra_json_schema={"maxLength": limits.SOURCE_CONTENT_BYTES_MAX})]
Seconds = Annotated[
    int,
    Meta(
        extra_json_schema={
            "minimum": 0,
            "maximum": limits.TIMESTAMP_S_MAX,
            "description": f"Unix seconds, at most {limits.TIMESTAMP_AHEAD_S_MAX} ahead of the server",
        }
    ),
]
Confidence = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 1})]
Weight = Annotated[float, Meta(extra_json_schema={"minimum": -1, "maximum": 1})]
SourceClass = Annotated[str, _one_of(*(rule.name for rule in TIERS.values()))]
Stage = Annotated[str, _one_of("Proposed", "UnderReview", "Approved", "Deprecated", "Rejected")]
SourceState = Annotated[str, _one_of("Active", "Disputed", "Retracted")]
SupersessionName = Annotated[str, _one_of("Replaces", "Refines", "Retracts")]
ObjectIn = Annotated[dict[str, Scalar], Meta(extra_json_schema={"anyOf": _value_forms()})]
_FLOAT32_BEYOND: Final = (2 - 2**-24) * 2.0**127  # from here on float32 rounds to infinity
Float32 = Annotated[
    float,
    Meta(extra_json_schema={"exclusiveMinimum": -_FLOAT32_BEYOND, "exclusiveMaximum": _FLOAT32_BEYOND}),
]
Vector = Annotated[
    list[Float32], Meta(extra_json_schema={"minItems": 1, "maxItems": limits.VECTOR_NUMBERS_MAX})
]
