"""Keys and roles against a running service: who may do what, on every path there is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from stemedb.api.app import all_routes
from stemedb.model.keys import new_secret
from stemedb.model.statements import epoch_id
from stemedb.model.statements_wire import EpochIn, epoch_from_wire
from tests.e2e.conftest import ServerFactory
from tests.e2e.guarded import Guarded
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import OTHER, SIGNER, WHEN_S, claim, line

# The least that a key must have for each path; written down apart from the service's own table.
MATRIX = {
    "public": ["GET /v1/health", "GET /livez", "GET /readyz"],
    "reader": [
        "GET /metrics", "GET /openapi.json", "GET /api-doc/openapi.json", "GET /docs", "GET /v1/query",
        "GET /v1/skeptic", "GET /v1/layered", "GET /v1/constraints", "GET /v1/assertion/{hash}",
        "GET /v1/trace/{hash}", "GET /v1/feed", "GET /v1/source", "GET /v1/source/{hash}",
        "GET /v1/source/{hash}/impact", "GET /v1/epoch", "GET /v1/epoch/{id}", "GET /v1/alias",
        "GET /v1/alias/{id}", "GET /v1/gold-standard", "GET /v1/gold-standard/{id}", "GET /v1/agent/{id}",
        "GET /v1/concepts", "GET /v1/escalations", "GET /v1/log/head", "GET /v1/log/proof",
        "GET /v1/audit/queries", "GET /v1/audit/query/{id}", "GET /v1/meter/quota",
        "GET /v1/admission/status",
    ],
    "writer": [
        "POST /v1/assert", "POST /v1/assert/prepare", "POST /v1/assert/bulk", "POST /v1/supersede",
        "POST /v1/vote", "POST /v1/epoch", "POST /v1/source", "PATCH /v1/source/{hash}", "POST /v1/alias",
    ],
    "admin": [
        "POST /v1/gold-standard", "POST /v1/admin/erase", "POST /v1/admin/keys", "GET /v1/admin/keys",
        "GET /v1/admin/backup", "GET /v1/admin/storage/stats", "GET /v1/admin/slow-queries",
        "DELETE /v1/admin/keys/{key_id}", "POST /v1/admin/quotas", "GET /v1/admin/quotas",
        "DELETE /v1/admin/quotas/{id}", "GET /v1/admin/quarantine",
        "POST /v1/admin/quarantine/{hash}/approve", "POST /v1/admin/quarantine/{hash}/reject",
        "GET /v1/admin/circuit_breakers",
        "POST /v1/admin/circuit_breakers/{id}/open", "POST /v1/admin/circuit_breakers/{id}/reset",
    ],
}  # fmt: skip
NEEDED = {path: role for role, paths in MATRIX.items() for path in paths}
ORDER = ("public", "reader", "writer", "admin")
ROUTES = [f"{route.method} {route.path}" for route in all_routes()]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    running = Guarded(tmp_path_factory.mktemp("guarded"))
    yield running
    running.service.close()


@pytest.fixture(scope="module")
def secrets(guarded: Guarded) -> dict[str, str | None]:
    revoked = guarded.make_key("admin")
    assert guarded.revoke(revoked["id"]).status == 204
    return {
        "none": None,
        "reader": guarded.make_key("reader")["key"],
        "writer": guarded.make_key("writer")["key"],
        "admin": guarded.make_key("admin")["key"],
        "revoked": revoked["key"],
        "expired": guarded.make_key("admin", expires_at=1)["key"],
        "unknown": new_secret(),
        "garbage": "x" * 3000,
    }


def test_every_path_has_a_row() -> None:
    assert sorted(ROUTES) == sorted(NEEDED)


@pytest.mark.parametrize("path", ROUTES)
def test_roles_are_held_on_every_path(path: str, guarded: Guarded, secrets: dict[str, str | None]) -> None:
    method, _, target = path.partition(" ")
    target = re.sub(r"{(\w+)}", lambda found: ("0" if found[1] == "key_id" else "00aa") * 16, target)
    needed = ORDER.index(NEEDED[path])
    methods = [method, "HEAD"] if method == "GET" else [method]  # asking for a head shows no less
    for (kind, secret), asked in product(secrets.items(), methods):
        status = guarded.service.request(asked, target, None, headers=guarded.header(secret)).status
        if needed == 0:
            assert status == 200, kind
        elif kind not in ORDER:
            assert status == 401, kind
        else:
            assert (status == 403) == (ORDER.index(kind) < needed), (kind, status)
            assert status != 401, kind


def test_a_key_may_come_as_bearer(guarded: Guarded, secrets: dict[str, str | None]) -> None:
    for scheme in ("Bearer", "bearer"):
        reply = guarded.service.get("/metrics", {"Authorization": f"{scheme} {secrets['reader']}"})
        assert reply.status == 200
    refused = guarded.service.get("/metrics", {"Authorization": "Basic eDp5"})
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="stemedb"')


def test_keys_are_listed_without_their_secrets(guarded: Guarded, secrets: dict[str, str | None]) -> None:
    made = guarded.make_key("writer", name="lister", expires_at=2**40, best_tier="Expert")
    assert (made["role"], made["name"], made["expires_at"]) == ("writer", "lister", 2**40)
    text, cursor, rows = "", "", []
    while True:
        reply = guarded.service.get(f"/v1/admin/keys?limit=3{cursor}", guarded.header(guarded.root))
        text += reply.body.decode()
        rows += reply.json()["keys"]
        if not reply.json()["next_cursor"]:
            break
        cursor = f"&cursor={reply.json()['next_cursor']}"
    by_id = {row["id"]: row for row in rows}
    assert by_id[made["id"]]["live"]
    assert by_id[made["id"]]["best_tier"] == "Expert"
    assert len(by_id) == len(rows)
    assert sum(row["revoked"] for row in rows) >= 1
    assert not [
        secret for secret in (*secrets.values(), made["key"], guarded.root) if (secret or "?") in text
    ]


def test_the_last_admin_key_stays(server: ServerFactory, tmp_path: Path) -> None:
    own = Guarded(tmp_path / "own")
    try:
        (root,) = own.service.get("/v1/admin/keys", own.header(own.root)).json()["keys"]
        refused = own.revoke(root["id"])
        assert (refused.status, refused.json()["code"]) == (409, "last_admin_key")
        assert own.revoke("00" * 8).status == 404
        assert own.revoke("zz").status == 400
        own.service.restart()  # seeds nothing: an admin key exists
        assert len(own.service.get("/v1/admin/keys", own.header(own.root)).json()["keys"]) == 1
        environ = Path(f"/proc/{own.service.pid}/environ").read_bytes()
        assert b"STEMEDB_AUTH_ENABLED=true" in environ
        assert own.root.encode() not in environ
    finally:
        own.service.close()
    assert own.root not in own.service.log
    files = [path for path in (tmp_path / "own").rglob("*") if path.is_file()]
    assert [path for path in files if own.root.encode() in path.read_bytes()] == []
    assert server is not None


def test_a_bound_key_writes_for_its_agents_only(guarded: Guarded) -> None:
    key = guarded.make_key("writer", agent_ids=[SIGNER.agent_id.hex()], best_tier="Expert")["key"]
    header = guarded.header(key)
    post = guarded.service.post
    assert post("/v1/assert", claim(subject="bound/one", source_class="Expert"), header).status == 201
    refused = post("/v1/assert", claim(OTHER, subject="bound/two"), header)
    assert (refused.status, refused.json()["code"]) == (403, "agent_binding")
    refused = post("/v1/assert", claim(subject="bound/three", source_class="Regulatory"), header)
    assert (refused.status, refused.json()["code"]) == (403, "best_tier")
    assert post("/v1/epoch", epoch(OTHER), header).status == 403
    lines = [
        line(1, source_class="Expert"),
        json.dumps(claim(OTHER, source_class="Expert")).encode(),
        line(2, source_class="Regulatory"),
    ]
    results = [json.loads(each) for each in guarded.service.bulk(lines, header).body.splitlines()]
    codes = [each.get("status") or each["problem"]["code"] for each in results]
    assert codes == ["created", "agent_binding", "best_tier"]


def epoch(signer: Any = SIGNER, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of an epoch
    body = {
        "name": "an epoch",
        "agent_id": signer.agent_id.hex(),
        "timestamp": WHEN_S,
        "signature": "0" * 128,
    }
    body |= fields
    record = epoch_from_wire(EpochIn(**body))
    return body | {"signature": signer.sign(epoch_id(record.epoch), WHEN_S).signature.hex()}


def test_only_its_agent_or_an_administrator_ends_an_epoch(guarded: Guarded) -> None:
    writer, post = guarded.header(guarded.make_key("writer")["key"]), guarded.service.post
    old = post("/v1/epoch", epoch(name="theirs"), writer).json()["id"]
    stolen = epoch(OTHER, name="mine", supersedes=old)
    refused = post("/v1/epoch", stolen, writer)
    assert (refused.status, refused.json()["code"]) == (403, "not_your_epoch")
    assert post("/v1/epoch", stolen, guarded.header(guarded.root)).status == 201


def test_the_log_names_the_key_and_never_shows_it(guarded: Guarded) -> None:
    made = guarded.make_key("reader")
    wrong = new_secret()
    assert guarded.service.get("/v1/concepts", guarded.header(made["key"])).status == 200
    assert guarded.service.get("/v1/concepts", guarded.header(wrong)).status == 401
    deadline = time.monotonic() + 10
    while f'"key":"{made["id"]}"' not in guarded.service.log and time.monotonic() < deadline:
        time.sleep(0.02)
    log = guarded.service.log
    assert f'"key":"{made["id"]}"' in log
    assert not [secret for secret in (made["key"], wrong, guarded.root) if secret in log]


def test_no_key_is_made_while_none_is_asked_for(shared_server: ServiceProcess) -> None:
    refused = shared_server.post("/v1/admin/keys", {"role": "admin", "name": "for later"})
    assert (refused.status, refused.json()["code"]) == (409, "auth_off")


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"UNSAFE_SKIP_SIGNATURES": "true", "AUTH_ENABLED": "true"}, "STEMEDB_AUTH_ENABLED"),
        ({"UNSAFE_SKIP_SIGNATURES": "true", "BIND_ADDR": "0.0.0.0:0"}, "bind 127.0.0.1"),
        (
            {"REQUIRE_AUTH_ON_PUBLIC_BIND": "true", "BIND_ADDR": "0.0.0.0:0"},
            "set STEMEDB_AUTH_ENABLED=true",
        ),
        ({"AUTH_ENABLED": "true", "ROOT_API_KEY": "steme_live_short"}, "STEMEDB_ROOT_API_KEY=(hidden)"),
        ({"AUTH_ENABLED": "true", "ROOT_API_KEY_FILE": "missing"}, "STEMEDB_ROOT_API_KEY_FILE"),
    ],
)
def test_what_is_unsafe_does_not_start(server: ServerFactory, env: dict[str, str], named: str) -> None:
    service = server(start=False, env={f"STEMEDB_{name}": value for name, value in env.items()})
    service.start(wait=False)
    assert service.wait() == 78
    last = service.log.splitlines()[-1]
    assert named in last
    assert "steme_live_short" not in service.log


def test_a_public_address_without_keys_is_said_aloud(server: ServerFactory) -> None:
    service = server(start=False)
    service.env["STEMEDB_BIND_ADDR"] = f"0.0.0.0:{service.port}"
    service.start()
    health = service.get("/v1/health").json()
    assert health["status"] == "healthy"
    assert "STEMEDB_AUTH_ENABLED" in health["checks"]["auth"]
    assert b"\nstemedb_exposed 1.0\n" in service.get("/metrics").body
    warnings = [text for text in service.log.splitlines() if '"level":"warning"' in text]
    assert len(warnings) == 1
    assert "STEMEDB_AUTH_ENABLED" in warnings[0]


def test_the_root_key_may_stand_in_a_file(tmp_path: Path) -> None:
    own = Guarded(tmp_path / "own")
    own.service.stop()
    secret = new_secret()
    (tmp_path / "root.key").write_text(secret + "\n")
    fresh = ServiceProcess(
        tmp_path / "own",
        env={"STEMEDB_AUTH_ENABLED": "true", "STEMEDB_ROOT_API_KEY_FILE": str(tmp_path / "root.key")},
    )
    fresh.env |= {"STEMEDB_WAL_DIR": str(tmp_path / "wal"), "STEMEDB_DB_DIR": str(tmp_path / "db")}
    try:
        fresh.start()
        assert fresh.get("/v1/admin/keys", {"X-API-Key": secret}).status == 200
    finally:
        fresh.close()
