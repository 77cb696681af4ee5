"""What the sample says beside its table of claims: evidence that falls, votes, a new rule, another name.

Times and keys are fixed, so saying it all again adds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from blake3 import blake3

from stemedb.cli.importing import Layout, Mapping, RowFile
from stemedb.cli.sample import CLAIMS, SampleKeys
from stemedb.cli.values import timestamp
from stemedb.client import sign
from stemedb.client.signing import encode, sign_epoch
from stemedb.model import (
    Assertion,
    ObjectKind,
    SignedAssertion,
    Tier,
    Value,
    assertion_id,
    canonical_bytes,
)
from stemedb.model.claim import ZERO_HASH
from stemedb.model.statements import Supersession
from stemedb.model.statements_wire import SourceIn

if TYPE_CHECKING:
    from stemedb.client import Client
    from stemedb.model.replies import StatementReply, WriteReply

DRUG, COMPANY = "drug://velorin", "company://halden-optics"
COHORT_TEXT = (
    "Velorin and relapse: 2,114 patients followed for a year. Relapses were half as frequent as without it.\n"
    "All names, patients and figures in this text are invented.\n"
)
COHORT = SourceIn(
    blake3(COHORT_TEXT.encode()).hexdigest(),
    "Velorin and relapse, a cohort of 2,114 patients",
    "https://example.org/velorin-and-relapse",
    "Observational",
    content=COHORT_TEXT,
    timestamp=timestamp("2024-03-01"),
)
RETRACTED_AT = timestamp("2025-09-30")
# Who, tier, when, value, confidence, whether it rests on the cohort: does velorin halve relapses?
RELAPSES = (
    ("relapse-cohort", Tier.OBSERVATIONAL, "2024-03-01", True, 0.85, True),
    ("drug-bulletin", Tier.EXPERT, "2024-03-20", True, 0.7, True),
    ("veltra-labs", Tier.EXPERT, "2024-03-22", True, 0.9, True),
    ("health-wiki", Tier.COMMUNITY, "2024-04-02", True, 0.7, True),
    ("northside-clinic", Tier.OBSERVATIONAL, "2024-05-05", False, 0.5, False),
    ("forum-user-ana", Tier.ANECDOTAL, "2024-05-09", True, 0.6, False),
)
# Fresh and loud against older and soberer; nobody takes anything back: does it make hair fall out?
HAIR_LOSS = (
    ("drug-bulletin", Tier.EXPERT, "2024-08-01", False, 0.5),
    ("forum-user-jo", Tier.ANECDOTAL, "2025-02-01", True, 0.9),
)
# Who, when, what, confidence, under which rule of accounting (0 the old, 1 the new).
MARGINS = (
    ("halden-optics", "2024-02-20", 31.0, 0.9, 0),
    ("halden-optics", "2025-11-10", 24.0, 0.9, 1),
    ("stock-forum-bull", "2026-01-20", 31.0, 0.8, 0),
)
RULES = (("revenue when shipped", "2019-01-01"), ("revenue when accepted", "2025-01-01"))
RULES_BY = "standards-body"
# Who votes on whose word about unsigned tokens, and how.
VOTES = (
    ("security-review", "standards-body", 1.0),
    ("pen-test", "standards-body", 0.9),
    ("linter-rules", "standards-body", 0.8),
    ("security-review", "blog-microthings", -0.6),
    ("new-hire", "blog-microthings", 0.4),
)
VOTED_AT = timestamp("2025-03-10")
BRAND = "brand://velexa"


class Told(NamedTuple):
    """How many statements were made, and how many of them are new."""

    statements: int
    news: int


def tell(client: Client, keys: SampleKeys) -> Told:
    """Say all of it; raises what the server refuses."""
    replies: list[StatementReply | WriteReply] = [client.add_source(COHORT)]
    replies += _begin_rules(client, keys)
    replies += [client.assert_claim(claim) for claim in _claims(keys)]
    replies += _correct(client, keys)
    for voter, author, weight in VOTES:
        signer = keys.signer_or_new(voter)
        replies.append(client.vote(_of_table(author), weight, signer, timestamp=VOTED_AT))
    replies.append(client.add_alias(BRAND, DRUG, timestamp=timestamp("2023-05-12")))
    replies.append(client.set_source_status(COHORT.source_hash, "Retracted", timestamp=RETRACTED_AT))
    return Told(len(replies), sum(reply.status in {"created", "endorsed"} for reply in replies))


def _begin_rules(client: Client, keys: SampleKeys) -> list[StatementReply | WriteReply]:
    """Begin the two rules of accounting, the new one in the place of the old."""
    signer, replies, old = keys.signer_or_new(RULES_BY), [], None
    for name, day in RULES:
        reply = client.begin_epoch(name, signer, supersedes=old, timestamp=timestamp(day))
        replies.append(reply)
        old = reply.id
    return [*replies]


def _claims(keys: SampleKeys) -> list[SignedAssertion]:
    claims = [
        (
            who,
            Assertion(DRUG, "halves_relapses", _value(said), sure, timestamp(day), tier, _rests(cited=cited)),
        )
        for who, tier, day, said, sure, cited in RELAPSES
    ]
    claims += [
        (who, Assertion(DRUG, "causes_hair_loss", _value(said), sure, timestamp(day), tier))
        for who, tier, day, said, sure in HAIR_LOSS
    ]
    claims += [
        (
            who,
            Assertion(
                COMPANY, "margin_percent", _value(said), sure, timestamp(day), Tier.OBSERVATIONAL, epoch=rule
            ),
        )
        for who, day, said, sure, number in MARGINS
        for rule in [bytes.fromhex(_rules(keys)[number])]
    ]
    return [sign(content, keys.signer_or_new(who)) for who, content in claims]


def _correct(client: Client, keys: SampleKeys) -> list[StatementReply | WriteReply]:
    """The cohort's own correction, a registry that signs it as well, and a vote on it."""
    first = _claims(keys)[0]
    content = msgspec.structs.replace(
        first.assertion,
        confidence=0.6,
        timestamp=timestamp("2024-06-15"),
        parent_hash=bytes.fromhex(encode(first)[1]),
    )
    signed = client.supersede(sign(content, keys.signer_or_new(RELAPSES[0][0])))
    return [
        signed,
        client.assert_claim(
            sign(content, keys.signer_or_new("heart-registry"), signed_at=timestamp("2024-06-20"))
        ),
        client.vote(signed.hash, 0.5, keys.signer_or_new("drug-bulletin"), timestamp=timestamp("2024-07-01")),
    ]


def _rules(keys: SampleKeys) -> list[str]:
    """Return the ids of the rules of accounting."""
    ids: list[str] = []
    for name, day in RULES:
        old = ids[-1] if ids else None
        signer = keys.signer_or_new(RULES_BY)
        ids.append(sign_epoch(name, signer, timestamp(day), old, Supersession.REPLACES)[1])
    return ids


def _of_table(author: str) -> str:
    """Return the id of what `author` says of unsigned tokens in the sample's table."""
    with RowFile(CLAIMS, Layout("csv")) as rows:
        mapping = Mapping({}, rows.columns)
        for row in rows.rows():
            if (row.cells["source"], row.cells["predicate"]) == (author, "unsigned_tokens"):
                content = mapping.assertion(row.cells, 0)
                assert content is not None  # noqa: S101 - the table has no empty object
                return assertion_id(canonical_bytes(content)).hex()
    raise AssertionError(author)


def _value(said: object) -> Value:
    if isinstance(said, bool):
        return Value(ObjectKind.BOOLEAN, said)
    assert isinstance(said, float)  # noqa: S101 - the tables above hold nothing else
    return Value(ObjectKind.NUMBER, said)


def _rests(*, cited: bool) -> bytes:
    return bytes.fromhex(COHORT.source_hash) if cited else ZERO_HASH
