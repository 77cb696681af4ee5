"""The one place that orders *verify, log, fold, answer*; the lifecycle of the process's storage.

Promises: a change is acknowledged only when its record is durable in the log and visible in the view; after
a failed write or sync nothing is acknowledged any more. May use: `log`, `store`, `model`. May not: know about
HTTP, or assume that it is the log's only writer.
"""

from stemedb.engine.batch import Change
from stemedb.engine.changes import CREATED, ENDORSED, EXISTS, QUARANTINED, Outcome
from stemedb.engine.claims import Checked, Unverified
from stemedb.engine.engine import Engine, EngineSettings, open_engine
from stemedb.engine.erasing import Erasure
from stemedb.engine.feed import read_feed
from stemedb.engine.judging import GoldStandard
from stemedb.engine.keys import KeyChange, KeyRevocation
from stemedb.engine.pending import Pending
from stemedb.engine.quarantine import Approval, Rejection
from stemedb.engine.quotas import QuotaChange
from stemedb.engine.statements import (
    AliasChange,
    EpochChange,
    SourceChange,
    SourceStatusChange,
    VoteChange,
    check_epoch,
    check_vote,
)
from stemedb.engine.writer import FAULT_POINTS

__all__ = [
    "CREATED",
    "ENDORSED",
    "EXISTS",
    "FAULT_POINTS",
    "QUARANTINED",
    "AliasChange",
    "Approval",
    "Change",
    "Checked",
    "Engine",
    "EngineSettings",
    "EpochChange",
    "Erasure",
    "GoldStandard",
    "KeyChange",
    "KeyRevocation",
    "Outcome",
    "Pending",
    "QuotaChange",
    "Rejection",
    "SourceChange",
    "SourceStatusChange",
    "Unverified",
    "VoteChange",
    "check_epoch",
    "check_vote",
    "open_engine",
    "read_feed",
]
