"""What a claim is: structs, canonical bytes, ids, signatures, tiers, and the JSON shapes of all of them.

Promises: pure functions and immutable values, nothing stored, nothing read from the environment.
May use: nothing of ours but `errors` and `limits`.
"""

from stemedb.model.canonical import assertion_id, canonical_bytes, decode_canonical
from stemedb.model.claim import Assertion, Lifecycle, ObjectKind, Signature, SignedAssertion, Tier, Value
from stemedb.model.signing import Signer, signature_message, verify_signature

__all__ = [
    "Assertion",
    "Lifecycle",
    "ObjectKind",
    "Signature",
    "SignedAssertion",
    "Signer",
    "Tier",
    "Value",
    "assertion_id",
    "canonical_bytes",
    "decode_canonical",
    "signature_message",
    "verify_signature",
]
