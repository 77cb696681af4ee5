"""Imports: signed per source, repeatable, interruptible anywhere, and honest about every line."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, TextIO

import pytest

from stemedb import limits
from stemedb.cli.keyring import KeyRing
from stemedb.client import Client
from tests.cli.running import Cli, claims_count, wait_until
from tests.e2e.service import ServiceProcess

if TYPE_CHECKING:
    from pathlib import Path


MAPPING = ("--subject", "who", "--predicate", "=born_in", "--object", "where", "--source", "src")
AT = ("--timestamp", "2026-01-01")
ROWS = 5000  # more than two batches
BATCH = limits.CLIENT_BATCH_LINES_MAX


def table(*rows: str) -> str:
    return "\n".join(("who,src,where", *rows)) + "\n"


def person_row(prefix: str, number: int) -> str:
    return f"{prefix}-{number},src-{number % 3},place-{number % 7}"


def test_import_signs_with_one_key_a_source(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(
        table("imp/ada,wiki,London", "imp/ada,blog,London", "imp/ada,blog,Paris", "imp/bob,wiki,Rome")
    )
    first = cli.json("import", path, *MAPPING)
    assert {key: first[key] for key in ("rows", "created", "endorsed", "exists", "refused", "sources")} == {
        "rows": 4,
        "created": 3,
        "endorsed": 1,
        "exists": 0,
        "refused": 0,
        "sources": 2,
    }
    ring = KeyRing(cli.keyring)
    assert ring.names() == ["blog", "wiki"]
    agents = {name: ring.signer(name).agent_id.hex() for name in ring.names()}
    claims = cli.json("query", "imp/ada", "born_in")["assertions"]
    said = {claim["object"]["value"]: {each["agent_id"] for each in claim["signatures"]} for claim in claims}
    assert said == {"London": {agents["wiki"], agents["blog"]}, "Paris": {agents["blog"]}}
    assert {claim["timestamp"] for claim in claims} == {int(path.stat().st_mtime)}


def test_import_twice_adds_nothing_as_long_as_the_file_is_the_same(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(table("twice/ada,wiki,London"))
    assert cli.json("import", path, *MAPPING)["created"] == 1
    again = cli.json("import", path, *MAPPING)
    assert (again["created"], again["exists"]) == (0, 1)
    printed = cli("import", path, *MAPPING)
    assert re.match(r"1 rows of 1 sources: 0 created, 1 existed, 0 endorsed, 0 empty, 0 refused \(", printed)


def test_import_reads_ndjson_zipped_and_what_query_exported(cli: Cli, own_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "claims.ndjson.gz"
    rows = [
        {
            "subject": "exp/a",
            "predicate": "p",
            "object": 5,
            "source": "x",
            "confidence": 0.5,
            "timestamp": 100,
        },
        {
            "subject": "exp/a",
            "predicate": "p",
            "object": {"Reference": "exp/b"},
            "source": "y",
            "timestamp": 100,
        },
        {
            "subject": "exp/a",
            "predicate": "p",
            "object": True,
            "source": "x",
            "timestamp": "2020-01-01T00:00:00Z",
        },
        {
            "subject": "exp/a",
            "predicate": "p",
            "object": 5,
            "source": "y",
            "confidence": 0.5,
            "timestamp": 100,
        },
    ]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    summary = cli.json("import", path)
    assert (summary["created"], summary["endorsed"]) == (3, 1)
    exported = tmp_path / "exported.ndjson"
    exported.write_text(cli("query", "exp/a", "--all", "--json"))
    moved = own_cli.json("import", exported)
    assert (moved["created"], moved["refused"]) == (3, 0)
    fields = ("hash", "object", "confidence", "timestamp", "signatures")
    here, there = (each.json("query", "exp/a")["assertions"] for each in (cli, own_cli))
    assert [[claim[field] for field in fields] for claim in here] == [
        [claim[field] for field in fields] for claim in there
    ]


def test_import_reports_refused_lines_and_lands_the_others(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    rows = [
        "bad/a,wiki,London",
        ",wiki,London",
        "bad/b,wiki",
        "bad/c,,London",
        "bad/d,wiki,",
        "bad/e,wiki,Rome",
    ]
    path.write_text(table(*rows))
    done = cli.run("import", path, *MAPPING)
    assert done.returncode == 1
    assert "2 created" in done.stdout
    assert "1 empty, 3 refused" in done.stdout
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["line 3", "line 4", "line 5"]
    summary = cli.json("import", path, *MAPPING, code=1)
    assert [each["line"] for each in summary["refusals"]] == [3, 4, 5]


def test_import_lists_refusals_of_the_server_with_the_files_line_numbers(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "claims.ndjson"
    rows = [
        {"subject": f"ahead/{i}", "predicate": "p", "object": i, "source": "x", "timestamp": 100}
        for i in range(4)
    ]
    rows[2]["timestamp"] = 4_000_000_000
    path.write_text("\n\n".join(map(json.dumps, rows)))
    summary = cli.json("import", path, code=1)
    assert (summary["created"], [each["line"] for each in summary["refusals"]]) == (3, [5])


def test_import_bounds_the_list_of_refusals(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(table(*(["only-one-cell"] * (limits.IMPORT_REFUSED_LISTED_MAX + 50))))
    done = cli.run("import", path, *MAPPING)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == limits.IMPORT_REFUSED_LISTED_MAX + 1
    assert done.stderr.endswith("... and 50 more\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--subject", "nobody", *MAPPING[2:]), 1, "no column is called 'nobody'"),
        (("--subject", "who", "--predicate", "=p", "--object", "where"), 2, "nothing says who claims"),
        ((*MAPPING, "--as", "me"), 2, "--source does not go with it"),
        (
            ("--subject", "who", "--predicate", "=p", "--object", "where", "--as", "me"),
            1,
            "stemedb keygen me",
        ),
        ((*MAPPING, "--columns", "a,a"), 1, "two columns are called 'a'"),
    ],
)
def test_import_refuses_a_mapping_before_anything_is_sent(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(table("never/ada,wiki,London"))
    assert said in cli.error("import", path, *arguments, code=code)
    assert not cli.keyring.exists()


def test_import_refuses_a_file_that_cannot_be_read(cli: Cli, tmp_path: Path) -> None:
    assert "No such file" in cli.error("import", tmp_path / "none.csv", *MAPPING, code=1)
    cli.error("import", tmp_path, *MAPPING, code=2)
    (tmp_path / "claims.txt").write_text(table())
    assert "--format" in cli.error("import", tmp_path / "claims.txt", *MAPPING, code=1)


class Feeding:
    """An import that reads from a pipe, so that the test decides how far it gets."""

    def __init__(self, cli: Cli, folder: Path, prefix: str) -> None:
        """Start the import; rows go in with `feed`."""
        self.path = folder / "pipe.csv"
        os.mkfifo(self.path)
        self.prefix = prefix
        self.fed = 0
        self.process = cli.start("import", self.path, *MAPPING, *AT, "--json")
        self.pipe: TextIO = self.path.open("w")
        self.pipe.write(table())

    def feed(self, count: int) -> None:
        """Write the next rows."""
        for number in range(self.fed, self.fed + count):
            self.pipe.write(person_row(self.prefix, number) + "\n")
        self.fed += count
        self.pipe.flush()

    def finish(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, output and errors."""
        with self.process:
            out, err = self.process.communicate(timeout=60)
        with contextlib.suppress(BrokenPipeError):
            self.pipe.close()
        return self.process.returncode, out, err


def whole_file(folder: Path, prefix: str) -> Path:
    path = folder / "whole.csv"
    path.write_text(table(*(person_row(prefix, number) for number in range(ROWS))))
    return path


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_import_resumes_after_an_interruption_without_doubling(
    own_service: ServiceProcess, own_cli: Cli, tmp_path: Path, how: signal.Signals
) -> None:
    feeding = Feeding(own_cli, tmp_path, "person")
    feeding.feed(BATCH + BATCH // 2)
    wait_until(lambda: claims_count(own_service) >= BATCH, "stored the first batch")
    feeding.process.send_signal(how)
    code, out, err = feeding.finish()
    if how is signal.SIGINT:
        assert code == 130
        assert json.loads(out)["interrupted"] is True
        stopped = re.match(r"stopped after line (\d+);", err)
        assert stopped is not None
        # The header is line 1, so the batch ends on line BATCH + 1; its reply may be half counted.
        assert int(stopped[1]) <= BATCH + 1
        assert err.count("\n") == 1
    else:
        assert code == -signal.SIGKILL
    stored = claims_count(own_service)
    whole = whole_file(tmp_path, "person")
    summary = own_cli.json("import", whole, *MAPPING, *AT)
    assert (summary["exists"], summary["created"], summary["endorsed"]) == (stored, ROWS - stored, 0)
    assert claims_count(own_service) == ROWS
    rest = own_cli.json("import", whole, *MAPPING, *AT, "--from-line", str(ROWS))
    assert (rest["rows"], rest["exists"]) == (2, 2)
    with Client(own_service.url) as client:
        for number in (0, BATCH, ROWS - 1):
            claims = client.query(f"person-{number}", "born_in").assertions
            assert [len(claim.signatures) for claim in claims] == [1]


def test_import_outlives_a_crash_of_the_server(
    own_service: ServiceProcess, own_cli: Cli, tmp_path: Path
) -> None:
    feeding = Feeding(own_cli, tmp_path, "crash")
    feeding.feed(BATCH + 1)
    wait_until(lambda: claims_count(own_service) >= BATCH, "stored the first batch")
    own_service.kill()
    feeding.feed(BATCH)  # a full batch: the import now tries to send it
    own_service.start()
    feeding.feed(ROWS - feeding.fed)
    feeding.pipe.close()
    code, out, err = feeding.finish()
    assert (code, err) == (0, "")
    summary = json.loads(out)
    assert (summary["rows"], summary["created"] + summary["exists"]) == (ROWS, ROWS)
    assert claims_count(own_service) == ROWS


def test_import_gives_up_on_a_server_that_stays_away(
    own_service: ServiceProcess, own_cli: Cli, tmp_path: Path
) -> None:
    whole = whole_file(tmp_path, "gone")
    own_service.kill()
    done = own_cli.run("import", whole, *MAPPING, "--patience-s", "0.2")
    assert done.returncode == 75
    assert "0 created" in done.stdout
    lines = done.stderr.splitlines()
    assert lines[0].startswith("stopped after line 0;")
    assert lines[1].startswith(f"stemedb: no answer from {own_service.url}")
    assert len(lines) == 2


def test_import_keeps_its_memory_bounded(cli: Cli, tmp_path: Path) -> None:
    """A file many times the size of a batch costs no more memory than a small one."""

    def peak_kib(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        with path.open("w") as file:
            file.write(table())
            file.writelines(f"mem/{i % 10},src,{'x' * 20_000}{i}\n" for i in range(count))
        script = (
            "import resource, sys\n"
            "from stemedb.cli.main import run\n"
            "code = run(sys.argv[1:])\n"
            "print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "import", path, *MAPPING, *AT],
            env=cli.env,
            capture_output=True,
            text=True,
            check=True,
        )
        code, peak = done.stdout.splitlines()[-1].split()
        assert code == "0", done.stderr
        return int(peak)

    # 24 MB of text, some six batches.
    assert peak_kib(1200) < peak_kib(200) + 24 * 1024


def test_import_stops_when_the_server_has_no_room(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    full = ServiceProcess(folder, env={"STEMEDB_DISK_FLOOR_MB": str(limits.DISK_FLOOR_MB_MAX)}).start()
    try:
        cli = Cli(tmp_path / "home", full.url)
        done = cli.run("import", whole_file(tmp_path, "full"), *MAPPING, "--patience-s", "0.5")
    finally:
        full.close()
    assert done.returncode == 75
    assert "0 created" in done.stdout
    assert "0 refused" in done.stdout
    assert len(done.stderr.splitlines()) == 2
