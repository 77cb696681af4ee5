"""Log records as the feed shows them: every field by name, binary values as hex."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stemedb.model.canonical import assertion_id, canonical_bytes
from stemedb.model.claim import Signature, Tier, Value
from stemedb.model.records import (
    AssertionRecord,
    Body,
    EpochRecord,
    RecordType,
    ReleaseRecord,
    SourceStatus,
    VoteRecord,
    decode_body,
    type_of,
)
from stemedb.model.replies import RecordOut
from stemedb.model.statements import Supersession, epoch_id, vote_id
from stemedb.model.wire import (
    SOURCE_STATUS_NAMES,
    SUPERSESSION_NAMES,
    TIER_NAMES,
    assertion_to_wire,
    signature_to_wire,
    value_to_wire,
)

HIDDEN = "hidden"
"""The type of a record that the reader may not see; it keeps the feed gapless."""

SECRET_TYPES = frozenset(
    {
        RecordType.KEY,
        RecordType.KEY_REVOCATION,
        RecordType.QUOTA,
        RecordType.QUARANTINE,
        RecordType.REJECTION,
    }
)
"""The kinds that no reader of the feed may see."""

TYPE_NAMES: Mapping[int, str] = {kind: kind.name.lower() for kind in RecordType}


def record_out(
    seq: int, recorded_at: int, record_type: int, body: bytes, *, redacted: bool = False
) -> RecordOut:
    """Return a record of the log as the feed shows it; erased and unknown ones are hidden."""
    content = None if redacted or record_type in SECRET_TYPES else decode_body(record_type, body)
    if content is None:
        if record_type == RecordType.GENESIS:
            return RecordOut(seq, TYPE_NAMES[record_type], recorded_at, {})
        return RecordOut(seq, HIDDEN)
    return body_out(seq, recorded_at, content)


def body_out(seq: int, recorded_at: int, content: Body) -> RecordOut:
    """Return a record's content as the feed shows it."""
    return RecordOut(seq, TYPE_NAMES[type_of(content)], recorded_at, _fields(content))


def _fields(content: Body) -> dict[str, object]:
    if isinstance(content, AssertionRecord | ReleaseRecord):
        fields: dict[str, object] = dict(assertion_to_wire(content.assertion))
        fields["signatures"] = [signature_to_wire(signature) for signature in content.signatures]
        fields["hash"] = assertion_id(canonical_bytes(content.assertion)).hex()
        return fields
    if isinstance(content, VoteRecord):
        return _signed(vote_id(content.vote), content.vote, content.signature)
    if isinstance(content, EpochRecord):
        return _signed(epoch_id(content.epoch), content.epoch, content.signature)
    return _named(content)


def _signed(content_id: bytes, statement: msgspec.Struct, signature: bytes) -> dict[str, object]:
    return {"id": content_id.hex(), **_named(statement), "signature": signature.hex()}


def _named(struct: msgspec.Struct) -> dict[str, object]:
    return {name: _plain(getattr(struct, name)) for name in struct.__struct_fields__}


def _plain(value: Any) -> object:  # noqa: ANN401 - whatever a record holds
    """Return a field's value as JSON can hold it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Value):
        return value_to_wire(value)
    if isinstance(value, Signature):
        return signature_to_wire(value)
    for kind, names in _NAMED_KINDS:
        if isinstance(value, kind):
            return names[value]
    return value


_NAMED_KINDS: tuple[tuple[type, Mapping[Any, str]], ...] = (
    (Tier, TIER_NAMES),
    (SourceStatus, SOURCE_STATUS_NAMES),
    (Supersession, SUPERSESSION_NAMES),
)
