"""The check of the locks against known flaws: planted ones, and OSV's part played by a server of the test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from tools import advisories, check_advisories
from tools.advisories import Advisory, Range, Recorded
from tools.run_tests import lint_steps

FLAW = Advisory("X-1", ("CVE-1",), (Range("1.0", fixed="2.0"),), (), "one flaw", "a test")
OSV_FLAW = {
    "id": "X-9",
    "aliases": ["CVE-9"],
    "summary": "what\n it is",
    "affected": [
        {
            "package": {"name": "Thing", "ecosystem": "PyPI"},
            "ranges": [
                {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abc"}]},
                {
                    "type": "ECOSYSTEM",
                    "events": [
                        {"introduced": "2.0"},
                        {"fixed": "2.4"},
                        {"introduced": "0"},
                        {"fixed": "1.2"},
                        {"introduced": "3.0"},
                        {"last_affected": "3.0"},
                    ],
                },
            ],
            "versions": ["1.1", "2.9", "not a version"],
        },
        {"package": {"name": "other", "ecosystem": "PyPI"}, "ranges": [], "versions": ["7"]},
        {"package": {"name": "thing", "ecosystem": "npm"}, "ranges": [], "versions": ["8"]},
    ],
}


class Osv(BaseHTTPRequestHandler):
    """Knows one flaw of `thing`, on the second page, and names another of whatever is at version 5."""

    def do_POST(self) -> None:
        """Answer a question about a package, or a batch of versions."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer: dict[str, Any]
        if self.path == "/v1/querybatch":
            answer = {
                "results": [
                    {"vulns": [{"id": "X-5"}]} if q["version"] == "5" else {} for q in asked["queries"]
                ]
            }
        elif asked["package"]["name"] != "thing":
            answer = {}
        elif "page_token" not in asked:
            answer = {"vulns": [{"id": "X-8", "withdrawn": "2026-01-01T00:00:00Z"}], "next_page_token": "2"}
        else:
            answer = {"vulns": [OSV_FLAW]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


@pytest.fixture
def osv() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def recorded(accepted: dict[str, str] | None = None, **packages: tuple[Advisory, ...]) -> Recorded:
    """Return a recorded set."""
    return Recorded("2026-01-02", "2026-01-01", "a test", accepted or {}, packages)


def found(pins: list[tuple[str, str]], known: Recorded) -> list[str]:
    """Compare, and return what was found."""
    return list(check_advisories.findings(pins, known))


def arguments(folder: Path, lock: str, known: Recorded) -> list[str]:
    """Write a lock and a recorded set, and return what makes the tool read them."""
    (folder / "some.txt").write_text(lock)
    advisories.write(known, folder / "advisories.json")
    return ["--locks", str(folder), "--file", str(folder / "advisories.json")]


def test_what_the_project_locks_is_recorded_and_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_advisories.main([]) == 0, capsys.readouterr().out
    assert "0 findings" in capsys.readouterr().out


def test_it_is_a_step_of_lint() -> None:
    assert ["python", "-m", "tools.check_advisories"] in [
        [Path(program).name, *rest] for program, *rest in (step.command for step in lint_steps())
    ]


@pytest.mark.parametrize(
    ("name", "at", "flaw"),
    [
        ("bottle", "0.12.18", "PYSEC-2021-129"),
        ("lmdb", "0.97", "PYSEC-2019-236"),
        ("cryptography", "49.0.0", "GHSA-g6cj-pr64-35w5"),
        ("pynacl", "1.6.1", "PYSEC-2026-3002"),
    ],
)
def test_an_old_version_planted_in_the_real_locks_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, at: str, flaw: str
) -> None:
    """Reading, matching and reporting are the tool's own; only one lock is an older one."""
    for lock in check_advisories.LOCKS.glob("*.txt"):
        (tmp_path / lock.name).write_text(lock.read_text())
    (tmp_path / "older.txt").write_text(f"{name.upper()}=={at} \\\n    --hash=sha256:00\n")
    assert check_advisories.main(["--locks", str(tmp_path)]) == 1
    assert f"{name} {at}: {flaw}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("at", "touched"),
    [
        ("0.9", False),
        ("1.0rc1", False),  # before what was introduced
        ("1.0", True),
        ("1.0.post1", True),
        ("1.9.9", True),
        ("2.0rc1", True),  # a pre-release of the fixed version does not have the fix
        ("2.0", False),
        ("2.0+local", False),
        ("10.0", False),  # as a text it would come before 2.0
    ],
)
def test_a_range_holds_what_lies_between_by_pep_440(at: str, touched: bool) -> None:  # noqa: FBT001
    assert FLAW.touches(at) is touched


def test_ranges_may_be_closed_open_or_from_the_beginning() -> None:
    closed = Range("1.0", last_affected="1.5")
    assert closed.holds(Version("1.5"))
    assert not closed.holds(Version("1.5.1"))
    assert Range("1.0").holds(Version("99"))
    assert Range("0", fixed="1.0").holds(Version("0.0.dev1"))


def test_findings_name_package_version_flaw_and_what_it_is() -> None:
    assert found([("thing", "1.5")], recorded(thing=(FLAW,))) == ["thing 1.5: X-1 one flaw"]
    assert found([("thing", "2.0")], recorded(thing=(FLAW,))) == []


def test_each_locked_version_of_a_package_is_judged() -> None:
    assert found([("thing", "1.5"), ("thing", "2.0")], recorded(thing=(FLAW,))) == ["thing 1.5: X-1 one flaw"]


def test_a_locked_package_that_nobody_looked_up_is_a_finding() -> None:
    assert found([("new", "1")], recorded()) == ["new: locked, but its advisories are not recorded"]


def test_a_record_of_what_is_no_longer_locked_is_a_finding() -> None:
    assert found([], recorded(gone=())) == ["gone: recorded, but no lock names it any more"]


@pytest.mark.parametrize("name", ["X-1", "CVE-1"])
def test_an_explanation_by_id_or_alias_accepts_a_finding(name: str) -> None:
    assert found([("thing", "1.5")], recorded({name: "not used here"}, thing=(FLAW,))) == []


def test_an_explanation_that_explains_nothing_is_a_finding() -> None:
    assert found([("thing", "2.0")], recorded({"X-1": "old"}, thing=(FLAW,))) == [
        "X-1: accepted, but nothing locked has it"
    ]


@pytest.mark.parametrize(
    "broken",
    [
        {"format": 2},
        {"packages": {"thing": [{**FLAW._asdict(), "affected": [], "versions": []}]}},
        {"packages": {"thing": [{**FLAW._asdict(), "affected": [{"introduced": "?"}]}]}},
        {"packages": {"thing": [{**FLAW._asdict(), "affected": [{"introduced": "0"}], "source": ""}]}},
    ],
    ids=["format", "no versions", "no version", "no source"],
)
def test_a_broken_record_is_refused_whole(tmp_path: Path, broken: dict[str, object]) -> None:
    """Else a slip in the file would pass for a clean answer."""
    file = tmp_path / "advisories.json"
    advisories.write(recorded(), file)
    file.write_text(json.dumps({**json.loads(file.read_text()), **broken}))
    with pytest.raises(ValueError, match=r"format|names no|Invalid version"):
        advisories.read(file)


def test_recording_asks_osv_of_every_locked_package_and_keeps_what_was_accepted(
    tmp_path: Path, osv: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments(tmp_path, "thing==2.4\nblank[extra]==3\n", recorded({"X-1": "why"}, gone=()))
    assert check_advisories.main([*given, "--record", "--service", osv]) == 1
    assert "X-1: accepted, but nothing locked has it" in capsys.readouterr().out
    written = advisories.read(tmp_path / "advisories.json")
    assert written.packages == {
        "blank": (),
        "thing": (
            Advisory(
                "X-9",
                ("CVE-9",),
                (Range("0", fixed="1.2"), Range("2.0", fixed="2.4"), Range("3.0", last_affected="3.0")),
                ("2.9",),
                "what it is",
                "https://api.osv.dev/v1/vulns/X-9",
            ),
        ),
    }
    assert written.accepted == {"X-1": "why"}
    assert [
        at for at in ("1.1", "1.2", "2.3", "2.9", "3.0", "3.1") if written.packages["thing"][0].touches(at)
    ] == [
        "1.1",
        "2.3",
        "2.9",
        "3.0",
    ]


def test_asking_live_finds_what_is_not_recorded(
    tmp_path: Path, osv: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments(tmp_path, "fifth==5\nother==4\n", recorded(fifth=(), other=()))
    assert check_advisories.main(given) == 0
    assert check_advisories.main([*given, "--live", "--service", osv]) == 1
    assert "fifth 5: X-5 (OSV, today)" in capsys.readouterr().out


def test_asking_live_knows_what_was_accepted_under_another_name(tmp_path: Path, osv: str) -> None:
    flaw = Advisory("X-5", ("CVE-5",), (Range("0"),), (), "one", "a test")
    given = arguments(tmp_path, "fifth==5\n", recorded({"CVE-5": "not used here"}, fifth=(flaw,)))
    assert check_advisories.main([*given, "--live", "--service", osv]) == 0


@pytest.mark.parametrize("way", ["--live", "--record"])
def test_an_osv_that_cannot_be_asked_is_no_clean_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    given = arguments(tmp_path, "thing==2.0\n", recorded(thing=(FLAW,)))
    before = (tmp_path / "advisories.json").read_text()
    assert check_advisories.main([*given, way, "--service", "http://127.0.0.1:9"]) == 2
    assert "nothing is known" in capsys.readouterr().err
    assert (tmp_path / "advisories.json").read_text() == before
