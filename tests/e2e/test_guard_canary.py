"""Secrets put wherever a client or an operator can put them: none of them is in the log, at any level."""

from __future__ import annotations

from http.client import HTTPConnection
from pathlib import Path

import pytest

from stemedb.model.keys import new_secret
from tests.e2e.guarded import Guarded
from tests.e2e.signing import claim


@pytest.mark.parametrize("level", ["debug", "info"])
def test_no_secret_is_in_any_log(tmp_path: Path, level: str) -> None:
    own = Guarded(tmp_path / "own", LOG=level)
    secrets = [own.root, *(new_secret() for _ in range(3))]
    try:
        for secret in secrets:
            for headers in (
                {"X-API-Key": secret},
                {"Authorization": f"Bearer {secret}"},
                {"Authorization": f"Basic {secret}"},
                {"X-API-Key": own.root, "X-Request-Id": secret, "X-Agent-Id": secret},
                {"X-API-Key": own.root, "X-Forwarded-For": secret, "Origin": secret},
                {"Cookie": secret, "User-Agent": secret},
            ):
                own.service.get("/v1/health", headers)
                own.service.get("/v1/concepts", headers)
                own.service.get(f"/v1/concepts?api_key={secret}", headers)
                own.service.get(f"/v1/{secret}", headers)
                own.service.request("DELETE", f"/v1/admin/keys/{secret}", None, headers)
                own.service.post("/v1/admin/keys", {"role": secret, "name": "x"}, headers)
                own.service.post("/v1/assert", claim(subject=f"canary/{secret[-8:]}"), headers)
            connection = HTTPConnection("127.0.0.1", own.service.port, timeout=30)
            connection.putrequest("GET", "/livez")
            connection.putheader("X-API-Key", secret)
            connection.putheader("Content-Length", secret)  # refused before it is a request
            connection.putheader("X-Request-Id", secret)
            connection.endheaders()
            assert connection.getresponse().status == 400
            connection.close()
        made = own.make_key("admin")
        secrets.append(made["key"])
        own.revoke(made["id"])
        own.service.restart()
    finally:
        own.service.close()
    log = own.service.log
    assert '"event":"request"' in log
    assert [secret for secret in secrets if secret[len("steme_live_") :] in log] == []
