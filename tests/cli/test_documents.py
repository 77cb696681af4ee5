"""The reference names every command, option and exit status; the tour tells the truth."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from stemedb.cli import main as entry
from stemedb.cli.commands import COMMANDS, load
from stemedb.client import Client
from tests.cli.running import BIN, Cli
from tests.e2e.service import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "cli.md").read_text()
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^## stemedb (\S+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
# A command that is long to explain may have a page of its own beside cli.md.
PAGES = sorted((DOCS / "reference").glob("*.md"))
# A call in a text (`stemedb ...`) or at a prompt, up to what is no word of it any more.
CALL = re.compile(r"(?:`|^[#$] )stemedb ((?:[^\s`|]+ ?)+)", re.MULTILINE)
FLOOD = re.compile(r"^## A flood\n.*?(?=^## )", re.MULTILINE | re.DOTALL)
SECTIONS = dict(found for page in PAGES for found in SECTION.findall(page.read_text()))


def leaves(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield a command, or the commands of a group, each with the words that call it."""
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from leaves(f"{path} {name}", each)
    else:
        yield path, command


LEAVES = dict(found for name in COMMANDS for found in leaves(name, load(name)))


def options(command: click.Command) -> set[str]:
    """Return the long options of a command."""
    opts = {text for param in command.params if isinstance(param, click.Option) for text in param.opts}
    return {text for text in opts if text.startswith("--")}


def test_reference_has_a_section_for_every_command() -> None:
    assert sorted(SECTIONS) == sorted(COMMANDS)


@pytest.mark.parametrize("path", LEAVES)
def test_reference_names_every_option(path: str) -> None:
    section = SECTIONS[path.split(maxsplit=1)[0]]
    assert f"stemedb {path}" in section
    assert options(LEAVES[path]) - set(re.findall(r"`(--[a-z][a-z-]*)", section)) == set()


def test_reference_names_no_option_that_there_is_not() -> None:
    real = set().union(*map(options, LEAVES.values()))
    assert set(re.findall(r"`(--[a-z][a-z-]*)", REFERENCE)) - real == set()


@pytest.mark.parametrize("path", LEAVES)
def test_help_has_an_example(path: str) -> None:
    assert f"stemedb {path}" in (LEAVES[path].epilog or "")
    assert LEAVES[path].help


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.stem)
def test_pages_call_only_what_there_is(page: Path) -> None:
    for words in map(str.split, CALL.findall(page.read_text())):
        name = next((path for path in LEAVES if words[: len(path.split())] == path.split()), None)
        if name is None:
            # The name of a group, or a choice between several.
            assert len(words) == 1, words
            assert words[0] in COMMANDS or words[0].startswith("-"), words
            continue
        used = {word.partition("=")[0] for word in words if word.startswith("--") and word != "--"}
        assert used - {"--help"} - options(LEAVES[name]) == set(), words


def test_reference_lists_every_exit_status() -> None:
    codes = {value for key, value in vars(entry).items() if key.isupper() and isinstance(value, int)}
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", REFERENCE, re.MULTILINE)}
    assert listed == codes


def test_tour_shows_what_the_sample_says(own_cli: Cli) -> None:
    own_cli("sample")
    blocks = CONSOLE.findall(FLOOD.sub("", (DOCS / "tour.md").read_text()))
    shown = [part for block in blocks for part in block.split("$ stemedb ")[1:]]
    answered = [part for part in shown if part.partition("\n")[2].strip()]
    assert len(answered) >= 12
    for part in shown:
        command, _, expected = part.partition("\n")
        if not command.startswith("import"):
            printed = own_cli(*command.split())
            assert not expected or printed == expected


@pytest.fixture
def metered(tmp_path: Path) -> Iterator[ServiceProcess]:
    running = ServiceProcess(tmp_path, env={"STEMEDB_METER_ENABLED": "true"}).start()
    yield running
    running.close()


def test_tour_shuts_a_flooding_agent_out_and_lets_it_in_again(
    metered: ServiceProcess, tmp_path: Path
) -> None:
    """The section's own commands, in a shell, on a server that has the meter on as `make run` does."""
    user = Cli(tmp_path / "home", metered.url)
    user("keygen", "alice")
    (section,) = FLOOD.findall((DOCS / "tour.md").read_text())
    assert "STEMEDB_METER_ENABLED=true" in (DOCS.parent / "tools" / "run").read_text()
    commands = re.split(r"^\$ ", "".join(CONSOLE.findall(section)), flags=re.MULTILINE)[1:]
    assert len(commands) == 9
    for part in commands:
        command, _, expected = part.partition("\n")
        done = subprocess.run(
            ["bash", "-c", command],
            env={**user.env, "PATH": f"{BIN}:{user.env['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        for line in filter(None, expected.splitlines()):
            pattern = re.escape(line).replace(r"\.\.\.", ".*")
            assert re.search(f"^{pattern}", done.stdout + done.stderr, re.MULTILINE), (command, done)
    with Client(metered.url) as client:
        said = client.query("drug://velorin", "miracle").assertions
        assert len(said) == 11
        assert len(client.query("drug://velorin", "taste").assertions) == 1


def test_tour_shows_what_hung_on_the_retracted_source_and_a_claims_story(own_cli: Cli) -> None:
    own_cli("sample")
    commands = re.findall(r"^\$ stemedb (impact|trace) (\w+)$", (DOCS / "tour.md").read_text(), re.MULTILINE)
    told = dict(commands)
    hung = own_cli.json("impact", told["impact"])
    assert hung["source"]["status"] == "Retracted"
    assert len(hung["claims"]) == 5
    story = own_cli.json("trace", told["trace"])
    counts = [len(story[part]) for part in ("parents", "children", "votes", "endorsements")]
    assert counts == [1, 0, 1, 1]
    assert story["source"]["source_hash"] == told["impact"]


def test_sample_loads_once_and_shows_three_commands_that_work(own_cli: Cli) -> None:
    first = own_cli.json("sample")
    assert first["refused"] == 0
    assert 190 <= first["created"] <= 210
    again = own_cli.json("sample")
    assert first["news"] == first["statements"]
    assert (again["created"], again["endorsed"], again["news"]) == (0, 0, 0)
    assert len(again["commands"]) == 3
    for command in again["commands"]:
        program, *arguments = command.split()
        assert Path(program).name == "stemedb"
        assert own_cli(*arguments)
    printed = own_cli("sample").splitlines()
    assert len([line for line in printed if re.match(r"  \$ \S*stemedb ", line)]) == 3
