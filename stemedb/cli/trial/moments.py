"""The five moments of the tour, each asked of a server that holds the sample, and what it must answer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from stemedb.cli.sample import SampleKeys
from stemedb.cli.sample.story import COHORT, DRUG, tell
from stemedb.cli.sample.table import load
from stemedb.client import Filters, sign
from stemedb.errors import NotFound, QuotaExceeded, StemedbError
from stemedb.limits import BREAKER_REFUSALS_MAX
from stemedb.model import Assertion, ObjectKind, SignedAssertion, Signer, Value

if TYPE_CHECKING:
    from stemedb.client import Client

Moment = Callable[["Client"], str]
"""Asks, and returns what it saw; raises `StemedbError` where that is not what the tour promises."""

_AUDIT_TRIES = 20


def prepare(client: Client) -> None:
    """Have the sample on the server; saying it again adds nothing."""
    summary = load(client)
    if summary.refused:
        raise StemedbError(f"{summary.refused} claims of the sample were refused")
    tell(client, SampleKeys())


def contradictions(client: Client) -> str:
    """Both sides stand, each with its weight."""
    quarrel = client.skeptic(DRUG, "raises_cardiac_risk")
    shares = [round(value.share, 2) for value in quarrel.claims]
    _require(quarrel.status == "Contested", f"{quarrel.status}, shares {shares}")
    return f"{quarrel.status}, shares {shares}"


def retraction(client: Client) -> str:
    """A retracted source's claims left the answer, and all that hung on it can be listed."""
    then, now = (_authority(client, as_of) for as_of in ("2025-06-01T00:00:00Z", None))
    hanging = len(client.impact(COHORT.source_hash).claims)
    _require(then is True and now is False, f"then {then}, now {now}")
    _require(hanging > 1, f"{hanging} claims hang on the source")
    return f"true became false; {hanging} claims hung on it"


def audit_trail(client: Client) -> str:
    """An answer's audit names what it rested on, and the same question gives the same bytes again."""
    answer = client.query(DRUG, "halves_relapses", lens="authority")
    _require(answer.winner is not None, "there is no answer")
    for _ in range(_AUDIT_TRIES):
        for found in client.audits(limit=20).queries:
            if found.parameters.get("predicate") == ["halves_relapses"] and found.contributing:
                replayed = client.audit(found.id, replay=True).replayed
                _require(replayed is not None and replayed.same, "the replay differs")
                return f"audit {found.id[:12]} rests on {found.contributing_count} claims, same bytes again"
        time.sleep(0.1)
    raise StemedbError("the answer has no audit")


def three_moments(client: Client) -> str:
    """The same question at three moments: words age."""
    days = ("2024-12-01T00:00:00Z", "2025-02-10T00:00:00Z", "2025-06-01T00:00:00Z")
    said = [_said(client, "causes_hair_loss", "confidence", day) for day in days]
    _require(said == [False, True, False], f"answers {said}")
    return "false, true, false"


def flood(client: Client) -> str:
    """An agent whose claims are refused over and over is shut out; others are not."""
    flooder, other = Signer.generate(), Signer.generate()
    subject = f"trial://flood/{secrets.token_hex(4)}"
    for number in range(BREAKER_REFUSALS_MAX):
        try:
            client.supersede(_claim(subject, number, flooder, parent=secrets.token_bytes(32)))
        except NotFound:
            continue
        raise StemedbError("a claim that supersedes nothing was taken")
    try:
        client.assert_claim(_claim(subject, 0, flooder))
    except QuotaExceeded as error:
        client.assert_claim(_claim(subject, 1, other))
        return f"shut out after {BREAKER_REFUSALS_MAX} refusals ({error.reason}); another agent is served"
    raise StemedbError("the flooding agent was not shut out")


MOMENTS: Final[dict[str, Moment]] = {
    "contradictions are visible": contradictions,
    "a retracted source": retraction,
    "an answer's audit trail": audit_trail,
    "one question, three moments": three_moments,
    "a flooding agent is shut out": flood,
}


def _authority(client: Client, as_of: str | None) -> object:
    return _said(client, "halves_relapses", "authority", as_of)


def _said(client: Client, predicate: str, lens: str, as_of: str | None) -> object:
    answer = client.query(DRUG, predicate, lens=lens, filters=Filters(as_of=as_of))
    return None if answer.winner is None else answer.winner.object.value


def _claim(subject: str, number: int, signer: Signer, parent: bytes | None = None) -> SignedAssertion:
    content = Assertion(
        subject, "is", Value(ObjectKind.NUMBER, float(number)), 0.5, int(time.time()), parent_hash=parent
    )
    return sign(content, signer)


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise StemedbError(otherwise)
