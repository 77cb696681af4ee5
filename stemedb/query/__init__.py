"""Answering: parameters to candidates, candidates through a lens, and the reply; cursors and time travel.

Promises: a question at a fixed position and clock gives the same answer for ever; nothing is written. May
use: `store`, `lens`, `model`. May not: know about HTTP beyond the names of parameters.
"""

from stemedb.query.answers import (
    Answer,
    ask,
    ask_constraints,
    ask_layered,
    ask_skeptic,
    show_claim,
)
from stemedb.query.api_keys import list_keys
from stemedb.query.audit import (
    AuditFilter,
    asked_by,
    audit_of,
    list_audits,
    replay_audit,
    show_audit,
    with_answers,
)
from stemedb.query.concepts import list_concepts, list_escalations
from stemedb.query.lists import (
    list_aliases,
    list_epochs,
    list_gold_standards,
    list_sources,
    show_agent,
    show_alias,
    show_epoch,
    show_gold_standard,
    show_source,
    source_impact,
)
from stemedb.query.paging import Listing
from stemedb.query.plan import Counts, counts_of, plan_of
from stemedb.query.quarantine import list_quarantine
from stemedb.query.question import (
    CHOICES,
    PARAMETERS,
    SKEPTIC_PARAMETERS,
    WHEN_PARAMETERS,
    Question,
    When,
    is_of_now,
    parse_question,
    read_time_s,
    read_when,
)
from stemedb.query.quotas import list_quotas
from stemedb.query.trace import trace
from stemedb.query.watch import Watched
from stemedb.store.local import AuditRow

__all__ = [
    "CHOICES",
    "PARAMETERS",
    "SKEPTIC_PARAMETERS",
    "WHEN_PARAMETERS",
    "Answer",
    "AuditFilter",
    "AuditRow",
    "Counts",
    "Listing",
    "Question",
    "Watched",
    "When",
    "ask",
    "ask_constraints",
    "ask_layered",
    "ask_skeptic",
    "asked_by",
    "audit_of",
    "counts_of",
    "is_of_now",
    "list_aliases",
    "list_audits",
    "list_concepts",
    "list_epochs",
    "list_escalations",
    "list_gold_standards",
    "list_keys",
    "list_quarantine",
    "list_quotas",
    "list_sources",
    "parse_question",
    "plan_of",
    "read_time_s",
    "read_when",
    "replay_audit",
    "show_agent",
    "show_alias",
    "show_audit",
    "show_claim",
    "show_epoch",
    "show_gold_standard",
    "show_source",
    "source_impact",
    "trace",
    "with_answers",
]
