"""The project's own promises: locks, layering, documents and the Makefile agree with each other."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

from tools import check_docs

ROOT = Path(__file__).resolve().parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Return the versions that a lock names."""
    return dict(PIN.findall((ROOT / "requirements" / lock).read_text()))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_names_versions_and_hashes_only(lock: Path) -> None:
    for entry in lock.read_text().replace("\\\n", " ").splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64})+ *", entry), entry[:80]


def test_all_hosts_and_the_controller_run_the_same_versions() -> None:
    oldest = pins("host-3.10.txt")
    assert oldest
    for lock in ("host-3.11.txt", "host-3.12.txt", "service-3.10.txt", "controller.txt"):
        theirs = pins(lock)
        assert {name: theirs[name] for name in oldest if name in theirs} == {
            name: version for name, version in oldest.items() if name in theirs
        }


def test_lint_checks_the_table_of_rooms_in_the_architecture_document() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter")
    lines = config["importlinter:contract:rooms"]["rooms"].strip().splitlines()
    checked = {line.split(":")[0]: set(line.split(":")[1].split()) for line in lines}
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|$", text, re.MULTILINE)
    names = {"all": {"*"}, "nothing": set()}
    written = {room: names.get(may) if may in names else set(may.split(", ")) for room, may in rows}
    assert checked == written


def test_every_link_between_documents_leads_somewhere() -> None:
    assert [line for path in check_docs.documents() for line in check_docs.broken_links(path)] == []


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert sorted(re.findall(r"^  make ([a-z-]+)", shown, re.MULTILINE)) == sorted(phony[1].split())
