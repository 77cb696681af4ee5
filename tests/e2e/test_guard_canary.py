"""Secrets put wherever a client or an operator can put them: none of them is in the log, at any level."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from stemedb.model.keys import new_secret
from tests.e2e.conftest import ServerFactory
from tests.e2e.guarded import Guarded
from tests.e2e.service import ServiceProcess
from tests.e2e.signing import claim

LEVELS = ["trace", "info", "error"]
RAW = (  # heads that no client library would send; each is answered or refused before it is a request
    "GET /livez HTTP/1.1\r\nX-API-Key: {0}\r\nX-Request-Id: {0}\r\nContent-Length: {0}\r\n\r\n",
    "GET /{0} HTTP/{0}\r\n\r\n",
    "{0} / HTTP/1.1\r\nX-Request-Id: {0}\r\n\r\n",
    "GET http://{0}/ HTTP/1.1\r\n\r\n",
    "GET /livez HTTP/1.1\r\n{0}\r\n\r\n",
    "POST /v1/assert/bulk HTTP/1.1\r\nX-API-Key: {0}\r\nTransfer-Encoding: {0}\r\n\r\n",
    "POST /v1/assert/bulk HTTP/1.1\r\nX-API-Key: {0}\r\nTransfer-Encoding: chunked\r\n\r\n{0}\r\n",
)


def say_everywhere(own: Guarded, secret: str) -> None:
    """Put a secret into every part of requests, with a key that lives and without."""
    service = own.service
    for headers in (
        {"X-API-Key": secret},
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": f"Basic {secret}"},
        {"X-API-Key": own.root, "X-Request-Id": secret, "X-Agent-Id": secret},
        {"X-API-Key": own.root, "X-Forwarded-For": secret, "Origin": secret},
        {"X-API-Key": own.root, "Stemedb-Min-Seq": secret, "If-None-Match": secret, "X-PoW-Nonce": secret},
        {"Cookie": secret, "User-Agent": secret, "Host": secret, "Referer": secret},
    ):
        service.get("/v1/health", headers)
        service.get("/v1/concepts", headers)
        service.get(f"/v1/concepts?api_key={secret}", headers)
        service.get(f"/v1/query?subject={secret}&predicate={secret}&lens={secret}", headers)
        service.get(f"/v1/query?subject={secret}&predicate={secret}", headers)
        service.get(f"/v1/{secret}", headers)
        service.get(f"/v1/{quote(secret).replace('_', '%5f')}", headers)
        service.request("DELETE", f"/v1/admin/keys/{secret}", None, headers)
        service.post("/v1/admin/keys", {"role": secret, "name": "x"}, headers)
        service.post("/v1/admin/keys", {secret: secret}, headers)
        service.post("/v1/assert", f"{{{secret}".encode(), headers)
        service.post("/v1/assert", claim(subject=f"canary/{secret}"), headers)
        service.bulk([secret.encode(), json.dumps({"subject": secret}).encode()], headers)
    for head in RAW:
        with closing(socket.create_connection(("127.0.0.1", service.port), timeout=30)) as sock:
            sock.sendall(head.format(secret).encode())
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass


@pytest.mark.parametrize("level", LEVELS)
def test_no_secret_is_in_any_log(tmp_path: Path, level: str) -> None:
    own = Guarded(tmp_path / "own", LOG=level)
    secrets = [own.root, new_secret()]
    try:
        for secret in secrets:
            say_everywhere(own, secret)
        made = own.make_key("admin")
        secrets.append(made["key"])
        own.revoke(made["id"])
        own.service.restart()
    finally:
        own.service.close()
    log = own.service.log
    assert ('"event":"request"' in log) == (level in {"trace", "info"})
    assert [secret for secret in secrets if secret[len("steme_live_") :] in log] == []
    for line in log.splitlines():
        json.loads(line)  # whatever was said, it began no line of its own


@pytest.mark.parametrize(
    "name",
    [
        "BIND_ADDR",
        "WAL_DIR",
        "LOG",
        "AUTH_ENABLED",
        "ROOT_API_KEY",
        "ROOT_API_KEY_FILE",
        "METER_QUOTA",
        "RUST_LOG",
    ],
)
def test_no_secret_is_in_the_last_line_of_a_start(tmp_path: Path, name: str) -> None:
    secret = new_secret()
    value = secret + "\x1b[31m" if name != "WAL_DIR" else f"/proc/{secret}"  # a folder that nobody can make
    env = {**os.environ, "STEMEDB_DB_DIR": str(tmp_path / "db"), "STEMEDB_BIND_ADDR": "127.0.0.1:0"}
    env[name if name == "RUST_LOG" else f"STEMEDB_{name}"] = value
    done = subprocess.run(
        [sys.executable, "-m", "stemedb.cli.server"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 78, done.stderr
    assert secret[len("steme_live_") :] not in done.stdout + done.stderr
    assert "(hidden)" in done.stderr
    assert "\x1b" not in done.stderr


def test_no_secret_is_in_the_lines_of_a_crash(tmp_path: Path) -> None:
    secret = new_secret()
    folder = tmp_path / secret  # the error's text holds the path, and so the secret
    folder.mkdir()
    arranged = ServiceProcess(folder, program=("-m", "tests.e2e.arranged", str(folder))).start(wait=False)
    try:
        (folder / "open").touch()
        arranged.wait_ready()
        (folder / "fail").write_text(secret)
        assert arranged.wait() == 74
    finally:
        arranged.close()
    assert "storage failed" in arranged.log
    assert "(hidden)" in arranged.log
    assert secret[len("steme_live_") :] not in arranged.log


def test_text_of_clients_cannot_leave_its_line(server: ServerFactory) -> None:
    service = server(env={"STEMEDB_LOG": "trace"})
    text = 'x\n{"event":"forged"}\r\x1b[31m\u2028\x00'
    service.post("/v1/assert", claim() | {"subject": text, text: 1})
    service.get("/v1/query?subject=" + quote(text) + "&predicate=" + quote(text))
    service.get("/" + quote(text))
    service.post("/v1/alias", {"subject": text, "alias": text}, {"Content-Type": "text/\x1bx"})
    service.stop()
    assert '"event":"forged"' not in service.log
    assert "\x1b" not in service.log
    for line in service.log.splitlines():
        json.loads(line)
