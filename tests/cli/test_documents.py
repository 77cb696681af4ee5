"""The reference names every command, option and exit status; the tour tells the truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from stemedb.cli import main as entry
from stemedb.cli.commands import COMMANDS

if TYPE_CHECKING:
    from tests.cli.running import Cli

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^## stemedb (\S+)\n(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL))
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_reference_has_a_section_for_every_command() -> None:
    assert sorted(SECTIONS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_reference_names_every_option_and_no_other(name: str) -> None:
    real = {text for param in COMMANDS[name].params for text in param.opts if isinstance(param, click.Option)}
    named = set(re.findall(r"`(--[a-z][a-z-]*)", SECTIONS[name]))
    assert real - named == set()
    assert named - real <= {
        option for command in COMMANDS.values() for param in command.params for option in param.opts
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str) -> None:
    command = COMMANDS[name]
    assert f"stemedb {name}" in (command.epilog or "")
    assert command.help


def test_reference_lists_every_exit_status() -> None:
    codes = {value for key, value in vars(entry).items() if key.isupper() and isinstance(value, int)}
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", REFERENCE, re.MULTILINE)}
    assert listed == codes


def test_tour_shows_what_the_sample_says(own_cli: Cli) -> None:
    own_cli("sample")
    blocks = CONSOLE.findall((DOCS / "tour.md").read_text())
    shown = [part for block in blocks for part in block.split("$ stemedb ")[1:]]
    answered = [part for part in shown if part.partition("\n")[2].strip()]
    assert len(answered) >= 5
    for part in shown:
        command, _, expected = part.partition("\n")
        if not command.startswith("import"):
            printed = own_cli(*command.split())
            assert not expected or printed == expected


def test_sample_loads_once_and_shows_three_commands_that_work(own_cli: Cli) -> None:
    first = own_cli.json("sample")
    assert first["refused"] == 0
    assert 190 <= first["created"] <= 210
    again = own_cli.json("sample")
    assert (again["created"], again["endorsed"]) == (0, 0)
    assert len(again["commands"]) == 3
    for command in again["commands"]:
        program, *arguments = command.split()
        assert Path(program).name == "stemedb"
        assert own_cli(*arguments)
    printed = own_cli("sample").splitlines()
    assert len([line for line in printed if re.match(r"  \$ \S*stemedb ", line)]) == 3
