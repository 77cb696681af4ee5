"""The shapes of the model that pass through this door: what the rooms above decode, encode and describe.

Those rooms see only the engine and the questions; this list is all of the model that they may know.
"""

from stemedb.model.audit import AuditOut, AuditsReply
from stemedb.model.backup import BackupReply
from stemedb.model.canonical import assertion_id, canonical_bytes
from stemedb.model.claim import SignedAssertion
from stemedb.model.erasure import EraseIn, EraseReply, erase_ids
from stemedb.model.guard_replies import (
    AdmissionReply,
    BalanceOut,
    BreakerOut,
    BreakersReply,
    QuotaIn,
    QuotaReply,
    QuotasReply,
    quota_agent,
)
from stemedb.model.history import ProofPage, SignedHead
from stemedb.model.keys import new_secret
from stemedb.model.keys_wire import KeyIn, KeyMade, KeysReply, key_from_wire, key_made
from stemedb.model.operations_wire import SlowQueriesReply, SlowQueryOut, StorageReply
from stemedb.model.quarantine import DOUBT_NAMES
from stemedb.model.quarantine_wire import STATES as HELD_STATES
from stemedb.model.quarantine_wire import QuarantineReply
from stemedb.model.replies import (
    AgentReply,
    AliasesReply,
    AliasOut,
    ChangesReply,
    ClaimOut,
    ConceptsReply,
    ConstraintsReply,
    EpochOut,
    EpochsReply,
    EscalationsReply,
    FeedReply,
    GoldStandardOut,
    GoldStandardsReply,
    HealthReply,
    ImpactReply,
    LayeredReply,
    LensReply,
    PrepareReply,
    QueryReply,
    SkepticReply,
    SourceOut,
    SourcesReply,
    StatementReply,
    TraceReply,
    WriteReply,
)
from stemedb.model.signing import signature_message
from stemedb.model.statements import epoch_id, vote_id
from stemedb.model.statements_wire import (
    AliasIn,
    EpochIn,
    GoldStandardIn,
    SourceIn,
    SourceStatusIn,
    VoteIn,
    alias_from_wire,
    epoch_from_wire,
    gold_from_wire,
    source_from_wire,
    status_from_wire,
    vote_from_wire,
)
from stemedb.model.wire import AssertionIn, PrepareIn, assertion_from_wire, assertion_to_wire

__all__ = [
    "DOUBT_NAMES",
    "HELD_STATES",
    "AdmissionReply",
    "AgentReply",
    "AliasIn",
    "AliasOut",
    "AliasesReply",
    "AssertionIn",
    "AuditOut",
    "AuditsReply",
    "BackupReply",
    "BalanceOut",
    "BreakerOut",
    "BreakersReply",
    "ChangesReply",
    "ClaimOut",
    "ConceptsReply",
    "ConstraintsReply",
    "EpochIn",
    "EpochOut",
    "EpochsReply",
    "EraseIn",
    "EraseReply",
    "EscalationsReply",
    "FeedReply",
    "GoldStandardIn",
    "GoldStandardOut",
    "GoldStandardsReply",
    "HealthReply",
    "ImpactReply",
    "KeyIn",
    "KeyMade",
    "KeysReply",
    "LayeredReply",
    "LensReply",
    "PrepareIn",
    "PrepareReply",
    "ProofPage",
    "QuarantineReply",
    "QueryReply",
    "QuotaIn",
    "QuotaReply",
    "QuotasReply",
    "SignedAssertion",
    "SignedHead",
    "SkepticReply",
    "SlowQueriesReply",
    "SlowQueryOut",
    "SourceIn",
    "SourceOut",
    "SourceStatusIn",
    "SourcesReply",
    "StatementReply",
    "StorageReply",
    "TraceReply",
    "VoteIn",
    "WriteReply",
    "alias_from_wire",
    "assertion_from_wire",
    "assertion_id",
    "assertion_to_wire",
    "canonical_bytes",
    "epoch_from_wire",
    "epoch_id",
    "erase_ids",
    "gold_from_wire",
    "key_from_wire",
    "key_made",
    "new_secret",
    "quota_agent",
    "signature_message",
    "source_from_wire",
    "status_from_wire",
    "vote_from_wire",
    "vote_id",
]
