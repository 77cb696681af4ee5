"""Answering: parameters to candidates, candidates through a lens, and the reply; cursors and time travel.

Promises: a question at a fixed position and clock gives the same answer for ever; nothing is written.
May use: `store`, `lens`, `model`. May not: know about HTTP beyond the names of parameters.
"""

from stemedb.query.answers import Answer, ask, ask_skeptic, show_claim
from stemedb.query.question import PARAMETERS, SKEPTIC_PARAMETERS, Question, parse_question

__all__ = [
    "PARAMETERS",
    "SKEPTIC_PARAMETERS",
    "Answer",
    "Question",
    "ask",
    "ask_skeptic",
    "parse_question",
    "show_claim",
]
