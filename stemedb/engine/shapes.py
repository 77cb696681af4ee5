"""The shapes of the model that pass through this door: what the rooms above decode, encode and describe.

Those rooms see only the engine and the questions; this list is all of the model that they may know.
"""

from stemedb.model.canonical import assertion_id, canonical_bytes
from stemedb.model.history import ProofPage, SignedHead
from stemedb.model.replies import (
    ChangesReply,
    ClaimOut,
    ConstraintsReply,
    HealthReply,
    LensReply,
    PrepareReply,
    QueryReply,
    SkepticReply,
    WriteReply,
)
from stemedb.model.signing import signature_message
from stemedb.model.wire import AssertionIn, PrepareIn, assertion_from_wire, assertion_to_wire

__all__ = [
    "AssertionIn",
    "ChangesReply",
    "ClaimOut",
    "ConstraintsReply",
    "HealthReply",
    "LensReply",
    "PrepareIn",
    "PrepareReply",
    "ProofPage",
    "QueryReply",
    "SignedHead",
    "SkepticReply",
    "WriteReply",
    "assertion_from_wire",
    "assertion_id",
    "assertion_to_wire",
    "canonical_bytes",
    "signature_message",
]
