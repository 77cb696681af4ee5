"""The check of the locks against known flaws. The database is a stand-in: its answers must not change."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools import check_advisories


class Database(BaseHTTPRequestHandler):
    """Knows one flaw, of bottle."""

    def do_POST(self) -> None:
        """Answer a batch."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        flawed = [{"vulns": [{"id": "X-1"}]} if each["package"]["name"] == "bottle" else {} for each in asked]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"results": flawed}).encode())


@pytest.fixture
def database() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_findings_are_named_unless_explained(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_advisories.main(database) == 1
    assert "bottle " in capsys.readouterr().out
    monkeypatch.setitem(check_advisories.EXPLAINED, "X-1", "not used here")
    assert check_advisories.main(database) == 0


def test_a_database_that_cannot_be_asked_is_no_clean_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_advisories.main("http://127.0.0.1:9/") == 2
    assert "nothing is known" in capsys.readouterr().err
