"""Twins: what one would build instead. The same HTTP server, decoding and verifying, over SQL tables.

`python -m bench._twin postgres|sqlite PORT WHERE` serves `POST /v1/assert`, `POST
/v1/assert/bulk` and `GET /v1/skeptic`, with the lens as one SQL statement over indexed tables. What they
answer is held against the service's own answer by `bench.twins` before anything is measured. They keep no
history: no chain, no time travel, no audits.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import bottle
import msgspec

from bench._noop import serve
from stemedb import limits
from stemedb.lens.conflict import conflict_of
from stemedb.model import Signature, Tier, assertion_id, canonical_bytes, verify_signature
from stemedb.model.tiers import TIERS
from stemedb.model.wire import AssertionIn, assertion_from_wire

_decoder = msgspec.json.Decoder(AssertionIn)
_encoder = msgspec.json.Encoder()

VERIFY_THREADS = 2
COLUMNS = "id, subject, predicate, kind, value, confidence, timestamp, tier, agent, signature, claim"
SKEPTIC = """
    with weighed as (
        select c.value, c.agent, c.timestamp, c.id, c.claim,
               c.confidence * power(0.5, (%(now)s - c.timestamp) / t.half_life_s) * t.weight
                 * coalesce(a.trust, 0.5) / 0.5
                 * max_of(0.0, 1.0 + coalesce(
                     (select sum(v.weight) from votes v where v.claim = c.id), 0.0)) as weight,
               row_number() over (partition by c.kind, c.value order by c.timestamp desc, c.id) as place
        from claims c join tiers t on t.tier = c.tier left join agents a on a.agent = c.agent
        where c.subject = %(subject)s and c.predicate = %(predicate)s
    )
    select value, sum(weight), count(*), count(distinct agent), max(case when place = 1 then claim end)
    from weighed group by value order by 2 desc
"""
TABLES = """
    create table claims (
        id {bytes} primary key, subject text not null, predicate text not null, kind integer not null,
        value text not null, confidence double precision not null, timestamp bigint not null,
        tier integer not null, agent {bytes} not null, signature {bytes} not null, claim text not null
    );
    create index questions on claims (subject, predicate, timestamp desc);
    create table agents (agent {bytes} primary key, trust double precision not null);
    create table votes (claim {bytes} not null, agent {bytes} not null, weight double precision not null,
        primary key (claim, agent));
    create table tiers (tier integer primary key, weight double precision not null,
        half_life_s double precision not null);
"""
NEVER_S = 1e300  # a half-life so long that nothing decays


class Row(NamedTuple):
    """A claim as a row of `claims`, in the order of `COLUMNS`."""

    id: bytes
    subject: str
    predicate: str
    kind: int
    value: str
    confidence: float
    timestamp: int
    tier: int
    agent: bytes
    signature: bytes
    claim: str


class Store(Protocol):
    """Tables somewhere."""

    def insert(self, rows: Sequence[Row]) -> None:
        """Make rows durable, in one transaction; those that are there already are left as they are."""

    def skeptic(self, subject: str, predicate: str, now_s: int) -> list[tuple[str, float, int, int, str]]:
        """Return each value with its weight, claims, agents, and its newest claim."""


def tier_rows() -> list[tuple[int, float, float]]:
    """Return the rows of `tiers`."""
    return [(int(tier), TIERS[tier].weight, float(TIERS[tier].half_life_s or NEVER_S)) for tier in Tier]


def row_of(line: bytes) -> Row:
    """Decode, hash and verify a claim; it may be unsigned."""
    signed = assertion_from_wire(_decoder.decode(line), default_timestamp=None)
    content = signed.assertion
    claim_id = assertion_id(canonical_bytes(content))
    first = signed.signatures[0] if signed.signatures else Signature(b"", b"", 0)
    if not all(verify_signature(claim_id, each) for each in signed.signatures):
        raise bottle.HTTPResponse("bad signature", 422)
    return Row(
        claim_id,
        content.subject,
        content.predicate,
        int(content.object.kind),
        str(content.object.value),
        content.confidence,
        content.timestamp,
        int(content.source_class),
        first.agent_id,
        first.signature,
        line.decode(),
    )


def application(store: Store) -> bottle.Bottle:
    """Return the routes over a store."""
    app = bottle.Bottle(catchall=False)
    # Its other threads share one processor, as the service's do, and gain by it; verifying would lose.
    everywhere = os.sched_getaffinity(0)
    pool = ThreadPoolExecutor(VERIFY_THREADS, initializer=lambda: os.sched_setaffinity(0, everywhere))

    def answer(content: object, status: int = 200) -> bottle.HTTPResponse:
        return bottle.HTTPResponse(_encoder.encode(content), status, {"Content-Type": "application/json"})

    def write_one() -> bottle.HTTPResponse:
        length = int(bottle.request.environ["CONTENT_LENGTH"])
        row = row_of(bottle.request.environ["wsgi.input"].read(length))
        store.insert([row])
        return answer({"hash": row.id.hex(), "status": "created"}, 201)

    def write_many() -> bottle.HTTPResponse:
        body = bottle.request.environ["wsgi.input"]
        parts = []
        while block := body.read1(limits.BULK_READ_BYTES):
            parts.append(block)
        lines = b"".join(parts).splitlines()
        told = []
        for first in range(0, len(lines), limits.BULK_CHUNK_LINES_MAX):
            chunk = lines[first : first + limits.BULK_CHUNK_LINES_MAX]
            share = -(-len(chunk) // VERIFY_THREADS)
            halves = [chunk[start : start + share] for start in range(0, len(chunk), share)]
            checked = pool.map(lambda part: [row_of(line) for line in part], halves)
            rows = [row for part in checked for row in part]
            store.insert(rows)
            told += [_encoder.encode({"status": "created", "hash": row.id.hex()}) for row in rows]
        return bottle.HTTPResponse(b"\n".join(told), 200, {"Content-Type": "application/x-ndjson"})

    def skeptic() -> bottle.HTTPResponse:
        query = bottle.request.query
        found = store.skeptic(query.subject, query.predicate, int(time.time()))
        total = sum(weight for _, weight, *_ in found)
        shares = [weight / total for _, weight, *_ in found]
        claims = [
            {
                "share": share,
                "claims_count": claims,
                "agents_count": agents,
                "newest": msgspec.Raw(newest.encode()),
            }
            for share, (_, _, claims, agents, newest) in zip(shares, found, strict=True)
        ]
        score = conflict_of([_Share(share) for share in shares])  # type: ignore[misc]  # all that it looks at
        return answer({"conflict_score": score, "claims": claims})

    app.route("/readyz", "GET", lambda: answer({}))
    app.route("/v1/assert", "POST", write_one)
    app.route("/v1/assert/bulk", "POST", write_many)
    app.route("/v1/skeptic", "GET", skeptic)
    return app


class _Share(NamedTuple):
    share: float


def _stores() -> dict[str, Callable[[str], Any]]:
    # Each is loaded where it is asked for: not every machine has a PostgreSQL client.
    def postgres(where: str) -> Store:
        from bench._twin_postgres import PostgresStore  # noqa: PLC0415

        return PostgresStore(where)

    def sqlite(where: str) -> Store:
        from bench._twin_sqlite import SqliteStore  # noqa: PLC0415

        return SqliteStore(where)

    return {"postgres": postgres, "sqlite": sqlite}


def main(arguments: list[str]) -> None:
    """Serve."""
    kind, port, where = arguments
    serve(application(_stores()[kind](where)), int(port))


if __name__ == "__main__":
    main(sys.argv[1:])
