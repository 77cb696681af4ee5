"""The view: an LMDB environment that is a pure fold over the log.

Promises: the same records give the same bytes of state (`View.digest`); a record that is in the log never
makes the fold fail; every value is checked by CRC32C when read, and a mismatch is `Corrupt`. A reader
sees one moment.
May use: `model`. May not: read the log by itself, know about HTTP, keep a read transaction open across
questions.
"""

from stemedb.store.keys import claim_key
from stemedb.store.record import FoldRecord, ReadClaim, read_claim
from stemedb.store.rows import ClaimRow, GoldRow, ViewState
from stemedb.store.snapshot import Snapshot
from stemedb.store.view import View

__all__ = [
    "ClaimRow",
    "FoldRecord",
    "GoldRow",
    "ReadClaim",
    "Snapshot",
    "View",
    "ViewState",
    "claim_key",
    "read_claim",
]
