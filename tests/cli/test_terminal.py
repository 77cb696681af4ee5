"""On a terminal: tables, a progress bar, colours unless told otherwise; nowhere else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import BIN, Cli
from tests.e2e.service import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][;m]")
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(cli: Cli, *arguments: str | Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command on a terminal of its own; return all that appears there."""
    ours, theirs = pty.openpty()
    environment = {**cli.env, "TERM": "xterm-256color", **(env or {})}
    with subprocess.Popen(
        [BIN / "stemedb", *arguments], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # Linux's way of saying that the other side is closed
            while received := os.read(ours, 65536):
                seen += received
        assert process.wait() == 0, seen
    os.close(ours)
    return seen.decode()


@pytest.fixture
def filled(cli: Cli) -> Cli:
    cli("keygen", "alice")
    cli("assert", "terminal/x", "colour", "red [bold]not markup[/bold]", "--as", "alice")
    cli("assert", "terminal/x", "colour", "\x1b[31mred", "--text", "--as", "alice")
    return cli


def test_query_draws_a_table_and_obeys_nobody(filled: Cli) -> None:
    seen = on_terminal(filled, "query", "terminal/x", "colour")
    assert "\u2500" in seen
    assert "[bold]not" in seen
    assert r"\x1b[31mred" in seen
    assert not COLOUR.search(seen)


def test_query_folds_long_texts_and_no_ids(cli: Cli) -> None:
    cli("keygen", "alice")
    said = cli("assert", "terminal/y", "a_predicate_of_many_words", "x " * 60, "--text", "--as", "alice")
    seen = on_terminal(cli, "query", "terminal/y", env={"COLUMNS": "80"})
    assert said.split()[1][:8] in seen
    assert "confidence" in seen
    assert max(map(len, STYLE.sub("", seen).splitlines())) <= 80


def test_query_says_that_it_found_nothing(cli: Cli) -> None:
    assert on_terminal(cli, "query", "terminal/nowhere") == "nothing found\r\n"


def test_skeptic_draws_a_table_without_colour_if_told(filled: Cli) -> None:
    seen = on_terminal(filled, "skeptic", "terminal/x", "colour", env={"NO_COLOR": "1"})
    assert "\u2500" in seen
    assert "Contested" in seen
    assert not COLOUR.search(seen)


def test_import_shows_its_progress_on_a_terminal_only(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text("subject,predicate,object,source\n" + "".join(f"prog/{i},p,v,s\n" for i in range(2500)))
    assert "importing" in on_terminal(cli, "import", path)
    done = cli.run("import", path)
    assert "importing" not in done.stdout + done.stderr
    assert done.stderr == ""


def test_work_shows_its_progress_on_a_terminal_only(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path, env={"STEMEDB_ADMISSION_ENABLED": "true"}).start()
    try:
        cli = Cli(tmp_path / "home", service.url)
        for name in ("alice", "bob"):
            cli("keygen", name)
        bar = re.compile(r"proof of work \[#*\.+\] \d+ tried, about 65536 needed")
        # A lucky nonce may come before the first sign of progress: not three times in a row.
        seen = [on_terminal(cli, "assert", f"work/{at}", "is", "done", "--as", "alice") for at in range(3)]
        assert any(bar.search(each) for each in seen)
        assert all("\r\x1b[Kcreated " in each for each in seen)  # the bar makes way for the answer
        done = cli.run("assert", "work/quiet", "is", "done", "--as", "bob")
        assert (done.stdout.split()[0], "proof of work" in done.stdout + done.stderr) == ("created", False)
    finally:
        service.close()
