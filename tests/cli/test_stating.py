"""What is said beside claims, and how it is looked at: votes, sources, epochs, aliases, gold, traces."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.running import Cli

DAY = ("--timestamp", "2026-01-01")


@pytest.fixture
def people(cli: Cli) -> Cli:
    """Return the command line of somebody with two keys."""
    for name in ("alice", "bob"):
        cli("keygen", name)
    return cli


def test_vote_moves_its_lens_and_is_seen_in_the_trace(people: Cli) -> None:
    subject = "stating/votes"
    claims = [
        people.json("assert", subject, "is", value, "--as", "alice", *DAY)["hash"] for value in ("a", "b")
    ]
    voted = people.json("vote", claims[0], "0.5", "--as", "bob", *DAY)
    again = people.json("vote", claims[0], "0.5", "--as", "bob", *DAY)
    assert (voted["status"], again["status"], again["id"]) == ("created", "exists", voted["id"])
    assert people("query", subject, "is", "--lens", "vote_aware_consensus") == "a\n"
    assert people("vote", "--as", "bob", "--", claims[0], "-1").startswith("created ")
    assert people.json("query", subject, "is", "--lens", "vote_aware_consensus")["resolution_confidence"] == 0
    people("assert", subject, "is", "a", "--as", "bob", *DAY)
    traced = people("trace", claims[0])
    assert f"claim      {claims[0]}" in traced
    told = [line.split("\t")[2:5] for line in traced.splitlines() if line.count("\t") == 5][1:]
    assert [each[0] for each in told] == ["the claim", "vote, taken back", "vote", "endorsement"]
    assert [each[2] for each in told] == ["a", "+0.5", "-1", "the same"]
    assert len(people.json("trace", claims[0])["votes"]) == 2
    assert "no claim" in people.error("vote", "00" * 32, "1", "--as", "bob", code=1)
    assert "/weight" in people.error("vote", claims[0], "7", "--as", "bob", code=1)
    assert "64 lower-case hex" in people.error("trace", "xyz", code=1)


def test_supersede_keeps_what_is_not_given(people: Cli) -> None:
    subject = "stating/supersede"
    old = people.json(
        "assert", subject, "dose", "40", "--as", "alice", "--confidence", "0.7", *DAY,
        "--source-class", "Clinical",
    )  # fmt: skip
    new = people.json("supersede", old["hash"], "20", "--as", "alice")
    (shown,) = people.json("query", subject)["assertions"]
    assert (shown["hash"], shown["parent_hash"]) == (new["hash"], old["hash"])
    assert (shown["object"]["value"], shown["confidence"], shown["source_class"]) == (20, 0.7, "Clinical")
    people("supersede", new["hash"], "--lifecycle", "Approved", "--as", "bob")
    (approved,) = people.json("query", subject, "--lifecycle", "approved")["assertions"]
    assert approved["object"]["value"] == 20
    assert len(people.json("query", subject, "--lifecycle", "any")["assertions"]) == 3
    story = people("trace", new["hash"])
    assert [word in story for word in ("revised by it", "revises it")] == [True, True]
    assert "no claim" in people.error("supersede", "00" * 32, "5", "--as", "alice", code=1)


def test_source_falls_with_all_that_rests_on_it(people: Cli, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("A trial of nothing. 🙂")
    made = people.json("source", "add", "A trial", "--file", report, "--source-class", "Clinical", *DAY)
    assert people.json("source", "add", "A trial", "--file", report, "--source-class", "Clinical", *DAY) == {
        **made,
        "status": "exists",
    }
    people("assert", "stating/source", "works", "true", "--as", "alice", "--source-hash", made["hash"], *DAY)
    assert people("query", "stating/source", "works", "--lens", "recency") == "true\n"
    people("source", "status", made["hash"], "Retracted", "--timestamp", "2026-02-01")
    assert "no answer" in people("query", "stating/source", "works", "--lens", "recency")
    assert people("query", "stating/source", "works", "--lens", "recency", "--at", "2026-01-15") == "true\n"
    hanging = people.run("impact", made["hash"])
    assert hanging.stdout.splitlines()[1].startswith("stating/source\tworks\ttrue\t")
    assert "A trial: Retracted" in hanging.stderr
    assert people.json("source", "show", made["hash"])["content"] == report.read_text()
    assert "Retracted" in people("source", "show", made["hash"])
    listed = [json.loads(line) for line in people("source", "list", "--all", "--json").splitlines()]
    assert made["hash"] in {each["source_hash"] for each in listed}
    assert "which source" in people.error("source", "add", "Nothing", code=2)
    report.write_bytes(b"\xff")
    assert "not UTF-8" in people.error("source", "add", "Bytes", "--file", report, code=1)
    report.write_bytes(b"x" * (1024 * 1024 + 1))
    assert "longer than" in people.error("source", "add", "Long", "--file", report, code=1)


def test_epoch_supersedes_and_is_listed(people: Cli) -> None:
    old = people.json("epoch", "begin", "old way", "--as", "alice", *DAY)["id"]
    people("assert", "stating/epoch", "is", "old", "--as", "alice", "--epoch", old)
    people("assert", "stating/epoch", "is", "new", "--as", "bob", *DAY)
    new = people.json(
        "epoch", "begin", "new way", "--supersedes", old, "--supersession", "Retracts", "--as", "alice"
    )["id"]
    assert people("query", "stating/epoch", "is", "--lens", "recency") == "old\n"
    assert people("query", "stating/epoch", "is", "--lens", "epoch_aware") == "new\n"
    assert f"superseded by  {new}" in people("epoch", "show", old)
    assert old in people("epoch", "list", "--all")
    assert people("epoch", "list", "--limit", "1").count("\n") == 2


def test_alias_is_followed_where_asked_for(people: Cli) -> None:
    people("assert", "stating/alias/one", "is", "said", "--as", "alice", *DAY)
    made = people.json("alias", "add", "stating/alias/two", "stating/alias/one", *DAY)["id"]
    assert people("query", "stating/alias/two", "is", "--lens", "recency", "--aliases") == "said\n"
    assert "no answer" in people("query", "stating/alias/two", "is", "--lens", "recency")
    assert "stating/alias/one" in people("alias", "show", made)
    assert made in people("alias", "list", "--all")
    assert "another subject" in people.error("alias", "add", "same", "same", code=1)


def test_gold_moves_the_trust_of_an_agent(people: Cli) -> None:
    people("assert", "stating/gold", "is", "5", "--as", "alice", *DAY)
    people("assert", "stating/gold", "is", "6", "--as", "bob", *DAY)
    made = people.run("gold", "add", "stating/gold", "is", "5", *DAY)
    assert "read VALUE as Number" in made.stderr
    assert "trust         0.5500" in people("agent", "alice")
    bob = people.json("agent", "bob")
    assert (bob["accurate"], bob["inaccurate"], bob["claims_count"]) == (0, 1, 1)
    assert people.json("agent", bob["agent_id"]) == bob
    settled = made.stdout.split()[1]
    assert people.json("gold", "show", settled)["object"]["value"] == 5
    assert settled in people("gold", "list", "--all")
    assert "no key called" in people.error("agent", "nobody", code=1)


def test_layers_rules_and_subjects_are_shown(people: Cli) -> None:
    subject = "stating/layers"
    for value, tier in (("a", "Clinical"), ("b", "Clinical"), ("c", "Anecdotal")):
        people("assert", subject, "is", value, "--as", "alice", "--source-class", tier, *DAY)
    for kind in ("must_use", "forbidden"):
        people("assert", subject, kind, "a belt", "--as", "alice", *DAY)
    lines = people("layered", subject, "is", "--at", "2026-01-02").splitlines()
    assert [line.split("\t")[1:5] for line in lines[1:]] == [
        ["Clinical", lines[1].split("\t")[2], "1.00", "2"],
        ["Anecdotal", "c", "0.00", "1"],
    ]
    rules = people("constraints", subject)
    assert rules.count("a belt") == 2
    assert people("query", subject, "--lens", "constraints") == rules
    assert people("constraints", subject, "must_use").count("a belt") == 1
    assert people("concepts", "stating/layers") == f"subject\tclaims\tpredicates\n{subject}\t5\t3\n"
    assert people("escalations") == "kind\tsubject\tpredicate\tclaims\n"


def test_things_are_shown_as_they_stood(people: Cli) -> None:
    source_hash = people.json("source", "add", "A trial", "--hash", "7e" * 32, "--timestamp", "2025-01-01")[
        "hash"
    ]
    claim = people.json("assert", "stating/then", "is", "x", "--as", "alice", *DAY)
    people("source", "status", source_hash, "Retracted", "--timestamp", "2026-02-01")
    people("vote", claim["hash"], "1", "--as", "bob", "--timestamp", "2026-02-01")
    assert "Retracted" in people("source", "show", source_hash)
    assert "Active" in people("source", "show", source_hash, "--at", "2026-01-15")
    assert "Active" in people("source", "list", "--all", "--at", "2026-01-15")
    assert people.json("impact", source_hash, "--known-at", str(claim["seq"]))["source"]["status"] == "Active"
    assert len(people.json("trace", claim["hash"])["votes"]) == 1
    assert people.json("trace", claim["hash"], "--at", "2026-01-15")["votes"] == []
    assert people.json("agent", "alice", "--at", "2026-01-15")["trust"] == 0.5
    assert "future" in people.error("agent", "alice", "--at", "2999-01-01", code=1)


def test_an_answer_can_be_audited_and_given_again(people: Cli) -> None:
    subject = "stating/audits"
    claim = people.json("assert", subject, "is", "first", "--as", "alice", *DAY)["hash"]
    people("query", subject, "is", "--lens", "consensus")
    deadline = time.monotonic() + 30
    while True:
        asked = [
            each for each in people.json("audits")["queries"] if each["parameters"]["subject"] == [subject]
        ]
        if asked:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert f"subject={subject}" in people("audits", "--since", "2026-01-01")
    assert people("audits", "--until", "2026-01-01") == "asked\tagent\tquestion\tid\n"
    people("assert", subject, "is", "second", "--as", "bob", *DAY)
    shown = people("audit", asked[0]["id"], "--replay")
    assert claim[:8] in shown
    assert people.json("audit", asked[0]["id"], "--replay")["replayed"]["same"] is True
    people("erase", claim, "--reason", "a wish", "--now")
    assert "erasure" in people.error("audit", asked[0]["id"], "--replay", code=1)
    assert "no audit" in people.error("audit", "00" * 32, code=1)


def test_feed_and_since_show_what_is_new(people: Cli) -> None:
    subject = "stating/feed"
    first = people.json("assert", subject, "is", "first", "--as", "alice", *DAY)
    people("assert", subject, "is", "second", "--as", "alice", *DAY)
    changed = people("query", subject, "is", "--since", str(first["seq"])).splitlines()
    assert len(changed) == 2
    assert "stating/feed is = second" in changed[1]
    page = people.json("feed", "--after", str(first["seq"] - 1), "--limit", "1")
    assert [each["body"]["hash"] for each in page["records"]] == [first["hash"]]
    assert "log ends at seq" in people.error("feed", "--after", "999999999", code=1)
    with people.start("feed", "--follow", "--after", str(first["seq"] - 1), "--json") as following:
        assert following.stdout
        assert json.loads(following.stdout.readline())["seq"] == first["seq"]
        assert json.loads(following.stdout.readline())["seq"] == first["seq"] + 1
        later = people.json("assert", subject, "is", "third", "--as", "bob", *DAY)
        assert json.loads(following.stdout.readline())["body"]["hash"] == later["hash"]
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == 130


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("query", "s", "--since", "3"), "needs one PREDICATE"),
        (("query", "s", "p", "--since", "3", "--lens", "recency"), "does not go with it"),
        (("query", "s", "p", "--since", "3", "--all"), "--since gives one answer"),
        (("query", "s", "p", "--lens", "recency", "--limit", "3"), "--lens gives one answer"),
        (("query", "s", "--vector-near", "1", "--k", "0"), "--k"),
        (("feed", "--follow", "--limit", "3"), "never ends"),
        (("concepts", "--all", "--limit", "3"), "do not go with it"),
        (("source", "status", "00" * 32, "Gone"), "Retracted"),
        (("epoch", "begin", "x", "--supersession", "Ends"), "Refines"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    assert says in cli.error(*arguments, code=2)


def test_audit_shows_what_an_answer_rested_on_and_gives_it_again(people: Cli) -> None:
    source = people.json("source", "add", "A paper", "--hash", "77" * 32, *DAY)["hash"]
    claim = people.json("assert", "stating/audit", "is", "x", "--as", "alice", "--source-hash", source, *DAY)
    people("query", "stating/audit", "is", "--lens", "recency")
    wait_until(lambda: len(people.json("impact", source)["answers"]) == 1, "audited")
    (audited,) = people.json("impact", source)["answers"]
    assert audited in people.run("impact", source).stderr
    assert audited in {each["id"] for each in people.json("audits")["queries"]}
    again = people.run("audit", audited, "--replay")
    assert (again.stdout.splitlines()[-1], again.returncode) == (f"{claim['hash']}\t1.0000", 0)
    assert "the same" in again.stderr
