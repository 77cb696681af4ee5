"""Assert and ask: the whole way of a claim, from the command line to the server and back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.running import Cli

DRUG = "drug://asking"


@pytest.fixture
def people(cli: Cli) -> Cli:
    """Return the command line of somebody with two keys."""
    for name in ("alice", "bob"):
        assert re.fullmatch(r"[0-9a-f]{64}\n", cli("keygen", name))
    return cli


def test_assert_stores_once_and_endorses_by_another(people: Cli) -> None:
    what = ("assert", DRUG, "approved", "true", "--timestamp", "2026-01-01", "--confidence", "0.9")
    first = people.json(*what, "--as", "alice")
    again = people.json(*what, "--as", "alice")
    other = people.json(*what, "--as", "bob")
    assert [each["status"] for each in (first, again, other)] == ["created", "exists", "endorsed"]
    assert len({each["hash"] for each in (first, again, other)}) == 1
    assert first["type"] == "Boolean"
    page = people.json("query", DRUG, "approved")
    assert len(page["assertions"]) == 1
    assert {each["agent_id"] for each in page["assertions"][0]["signatures"]} == {
        first["agent_id"],
        other["agent_id"],
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("5",), {"type": "Number", "value": 5.0}),
        (("5", "--text"), {"type": "Text", "value": "5"}),
        (("drug://x",), {"type": "Reference", "value": "drug://x"}),
        (("drug://x", "--text"), {"type": "Text", "value": "drug://x"}),
        (("false",), {"type": "Boolean", "value": False}),
        (("--number", "--", "-2.5"), {"type": "Number", "value": -2.5}),
        (("Zürich 🙂",), {"type": "Text", "value": "Zürich 🙂"}),
    ],
)
def test_assert_reads_values_as_told_or_guessed(
    people: Cli, arguments: tuple[str, ...], expected: dict[str, object]
) -> None:
    subject = f"asking/values/{abs(hash(arguments))}"
    options = [each for each in arguments if each.startswith("--") and each != "--"]
    value = [each for each in arguments if not each.startswith("--")]
    people("assert", "--as", "alice", *options, "--", subject, "is", *value)
    assert people.json("query", subject)["assertions"][0]["object"] == expected


def test_assert_says_what_it_guessed(people: Cli) -> None:
    done = people.run("assert", DRUG, "dose", "40", "--as", "alice")
    assert done.returncode == 0
    assert re.fullmatch(r"created [0-9a-f]{64} at seq \d+\n", done.stdout)
    assert "Number" in done.stderr


def test_query_shows_claims_newest_first_and_pages(people: Cli) -> None:
    subject = "asking/pages"
    for day in range(1, 6):
        people("assert", subject, "count", str(day), "--as", "alice", "--timestamp", f"2026-01-0{day}")
    lines = people("query", subject).splitlines()
    assert lines[0].split("\t")[:2] == ["predicate", "value"]
    assert [line.split("\t")[1] for line in lines[1:]] == ["5", "4", "3", "2", "1"]
    page = people.json("query", subject, "--limit", "2")
    assert [claim["object"]["value"] for claim in page["assertions"]] == [5, 4]
    rest = people.json("query", subject, "--limit", "3", "--cursor", page["next_cursor"])
    assert [claim["object"]["value"] for claim in rest["assertions"]] == [3, 2, 1]
    everything = [json.loads(line) for line in people("query", subject, "--all", "--json").splitlines()]
    assert [claim["object"]["value"] for claim in everything] == [5, 4, 3, 2, 1]
    assert len(people("query", subject, "--all").splitlines()) == 6


def test_query_resolves_by_lens_and_travels_in_time(people: Cli) -> None:
    subject = "fda://asking"
    people(
        "assert",
        subject,
        "risk",
        "false",
        "--as",
        "alice",
        "--timestamp",
        "2023-01-01",
        "--confidence",
        "0.8",
    )
    people(
        "assert", subject, "risk", "true", "--as", "alice", "--timestamp", "2025-01-01", "--confidence", "0.9"
    )
    people(
        "assert",
        subject,
        "risk",
        "false",
        "--as",
        "bob",
        "--timestamp",
        "2025-06-01",
        "--source-class",
        "Anecdotal",
    )
    assert people("query", subject, "risk", "--lens", "authority") == "true\n"
    assert people("query", subject, "risk", "--lens", "authority", "--at", "2024-01-01") == "false\n"
    assert people("query", subject, "risk", "--lens", "recency") == "false\n"
    assert people("query", subject, "risk", "--lens", "consensus") == "false\n"
    assert "no answer" in people("query", subject, "risk", "--lens", "recency", "--at", "2020-01-01")
    answer = people.json("query", subject, "risk", "--lens", "consensus")
    assert (answer["lens"], answer["candidates_count"]) == ("consensus", 3)
    assert len(people("query", subject, "--source-class", "Anecdotal").splitlines()) == 2
    assert len(people("query", subject, "--min-confidence", "0.95").splitlines()) == 1
    assert len(people("query", subject, "--lifecycle", "rejected").splitlines()) == 1
    by_bob = people.json(
        "query",
        subject,
        "--agent-id",
        people.json("query", subject)["assertions"][0]["signatures"][0]["agent_id"],
    )
    assert len(by_bob["assertions"]) == 1
    seq = min(claim["seq"] for claim in people.json("query", subject)["assertions"])
    assert len(people("query", subject, "--known-at", str(seq)).splitlines()) == 2
    raw = people.json("query", subject, "--no-decay", "--source-class", "Anecdotal")["assertions"][0]
    assert raw["effective_confidence"] == raw["confidence"]


def test_skeptic_shows_the_quarrel(people: Cli) -> None:
    subject = "asking/quarrel"
    people("assert", subject, "colour", "red", "--as", "alice", "--timestamp", "2026-01-01")
    people("assert", subject, "colour", "blue", "--as", "bob", "--timestamp", "2026-01-01")
    done = people.run("skeptic", subject, "colour")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()[1:]] in (
        ["red", "blue"],
        ["blue", "red"],
    )
    assert "Contested: conflict 1.00 over 2 claims" in done.stderr
    answer = people.json("skeptic", subject, "colour")
    assert (answer["status"], answer["conflict_score"]) == ("Contested", 1.0)
    assert people.json("skeptic", subject, "weight")["status"] == "Empty"


def test_a_strangers_text_does_nothing_to_the_terminal(people: Cli) -> None:
    people("assert", "asking/evil", "text", "\x1b[2J\x1b]0;owned\x07\ttab", "--text", "--as", "alice")
    for command in (("query", "asking/evil"), ("skeptic", "asking/evil", "text")):
        printed = people(*command)
        assert "\x1b" not in printed
        assert r"\x1b[2J" in printed
    winner = people("query", "asking/evil", "text", "--lens", "recency")
    assert "\x1b" not in winner


def test_status_fits_one_screen(cli: Cli) -> None:
    printed = cli("status")
    assert "healthy" in printed
    assert len(printed.splitlines()) < 24
    health = cli.json("status")
    assert (health["status"], health["version"]) == ("healthy", "0.1.0")


def test_profile_and_environment_and_option_in_that_order(people: Cli) -> None:
    url = people.env["STEMEDB_URL"]
    people.profiles.write_text(
        f"[default]\nurl = http://127.0.0.1:1\nas = alice\n[real]\nurl = {url}\nas = bob\n"
    )
    without = {key: value for key, value in people.env.items() if key != "STEMEDB_URL"}
    people.env = without
    assert "127.0.0.1:1" in people.error("status", code=75)
    people("status", "--profile", "real")
    people("status", env={"STEMEDB_URL": url})
    people("status", "--url", url, env={"STEMEDB_URL": "http://127.0.0.1:2"})
    signed = people.json("assert", "asking/profile", "is", "here", "--profile", "real")
    shown = people.json("config", "--profile", "real")["client"]
    assert (shown["as"], shown["url"]["from"]) == ({"value": "bob", "from": "profile"}, "profile")
    assert (
        signed["agent_id"]
        != people.json("assert", "asking/profile", "is", "x", "--as", "alice", "--url", url)["agent_id"]
    )
