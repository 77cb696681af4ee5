"""Bad input ends in one line and an exit code that says whose fault it was."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import BIN, Cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def alice(cli: Cli) -> Cli:
    cli("keygen", "alice")
    return cli


@pytest.mark.parametrize(
    "arguments",
    [
        ("querry",),
        ("query",),
        ("query", "s", "p", "--lens", "magic"),
        ("query", "s", "--lens", "recency"),
        ("query", "s", "p", "--lens", "recency", "--all"),
        ("query", "s", "--all", "--limit", "3"),
        ("query", "s", "--limit", "0"),
        ("query", "s", "--limit", "1001"),
        ("query", "s", "--no-such-option"),
        ("skeptic", "s"),
        ("assert", "s", "p"),
        ("assert", "s", "p", "v", "--confidence", "sure"),
        ("assert", "s", "p", "v", "--source-class", "Royal"),
        ("import",),
        ("completion", "powershell"),
    ],
)
def test_wrong_usage_is_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert "--help" in cli.error(*arguments, code=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", "p", "v"), "/subject: must be 1 to 256 bytes"),
        (("s" * 257, "p", "v"), "/subject"),
        (("s" * 100_000, "p", "v"), "/subject"),
        (("a\nb", "p", "v"), "control characters"),
        (("s", "p" * 129, "v"), "/predicate"),
        (("s", "p", "v" * 65_537), "/object/value"),
        (("s", "p", "r" * 257, "--ref"), "/object/value"),
        (("s", "p", "five", "--number"), "no number"),
        (("s", "p", "NaN", "--number"), "finite"),
        (("s", "p", "9007199254740993", "--number"), "2^53"),
        (("s", "p", "yes", "--bool"), "neither true nor false"),
        (("s", "p", "v", "--confidence", "1.0001"), "from 0 to 1"),
        (("s", "p", "v", "--confidence", "nan"), "from 0 to 1"),
        (("s", "p", "v", "--timestamp", "tomorrow"), "is no time"),
        (("s", "p", "v", "--timestamp", "2222-01-01"), "/timestamp"),
        (("s", "p", "v", "--source-hash", "zz"), "/source_hash"),
        (("s", "p", "v", "--parent", "AB" * 32), "/parent_hash"),
        (("s", "p", "v", "--epoch", "00"), "/epoch"),
        (("s", "p", "v", "--as", "nobody"), "stemedb keygen nobody"),
    ],
)
def test_a_claim_that_is_none_is_refused_with_1(alice: Cli, arguments: tuple[str, ...], said: str) -> None:
    assert said in alice.error("assert", *arguments, code=1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", "a\nb"),
        ("query", "s" * 300),
        ("query", "s", "--cursor", "rubbish"),
        ("query", "s", "--epoch", "rubbish"),
        ("query", "s", "--agent-id", "rubbish"),
        ("query", "s", "--min-confidence", "7"),
        ("query", "s", "--at", "whenever"),
        ("query", "s", "--at", "2222-01-01"),
        ("query", "s", "--known-at", "whenever"),
        ("query", "s", "--known-at", "999999999"),
        ("keygen", "a\tb"),
    ],
)
def test_a_question_that_is_none_is_refused_with_1(cli: Cli, arguments: tuple[str, ...]) -> None:
    cli.error(*arguments, code=1)


def test_a_command_that_is_none_is_told_the_nearest(cli: Cli) -> None:
    assert "did you mean 'query'?" in cli.error("querry", code=2)
    assert "no command is called 'zzz'. See stemedb --help" in cli.error("zzz", code=2)
    cli.error("--zzz", code=2)


def test_an_argument_that_is_no_utf_8_is_2(cli: Cli) -> None:
    done = subprocess.run(
        [BIN / "stemedb", b"query", b"\xff\xfe"], env=cli.env, capture_output=True, check=False, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_server_that_is_not_there_is_75(cli: Cli) -> None:
    said = cli.error("query", "s", "--url", "http://127.0.0.1:1", code=75)
    assert "no answer from http://127.0.0.1:1: Connection refused" in said
    assert "no answer" in cli.error("status", "--url", "http://no-such-host.invalid", code=75)


@pytest.mark.parametrize("url", ["127.0.0.1:18180", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused_with_1(cli: Cli, url: str) -> None:
    assert "no address" in cli.error("status", "--url", url, code=1)


def test_an_unusable_profile_or_key_ring_is_78(alice: Cli) -> None:
    alice.keyring.chmod(0o644)
    assert "chmod 600" in alice.error("assert", "s", "p", "v", "--as", "alice", code=78)
    alice.keyring.chmod(0o600)
    assert "no profile [x]" in alice.error("status", "--profile", "x", code=78)
    alice.profiles.write_text("[default]\nurll = http://x\n")
    assert "unknown name 'urll'" in alice.error("status", code=78)
    alice.profiles.write_text("url = http://x\n")
    alice.error("status", code=78)
    alice.profiles.write_text("[default]\napi_key = secret\n")
    alice.profiles.chmod(0o644)
    assert "can be read by others" in alice.error("status", code=78)
    alice.profiles.write_text("[default]\ntimeout_s = soon\n")
    assert "timeout_s" in alice.error("status", code=78)
    alice.profiles.unlink()
    assert "no key chosen" in Cli(alice.home / "new", None).error("assert", "s", "p", "v", code=78)
    assert "STEMEDB_UNKNOWN" in alice.error("config", code=78, env={"STEMEDB_UNKNOWN": "1"})


def test_config_never_shows_the_key(cli: Cli) -> None:
    for arguments in (("config",), ("config", "--json")):
        printed = cli(*arguments, env={"STEMEDB_API_KEY": "steme_live_secret"})
        assert "secret" not in printed
        assert "set (hidden)" in printed
        assert "BULK_LINES_MAX" in printed
        assert "STEMEDB_BIND_ADDR" in printed


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(
        [BIN / "stemedb", "config"], env=cli.env, stdout=writer, stderr=subprocess.PIPE
    ) as process:
        os.close(writer)
        assert process.communicate()[1] == b""
        assert process.returncode == 141


def test_ctrl_c_is_130_and_quiet(cli: Cli, tmp_path: Path) -> None:
    pipe = tmp_path / "claims.csv"
    os.mkfifo(pipe)
    # Once both sides have opened the pipe, the command waits for a header that never comes.
    with cli.start("import", pipe, "--subject", "s", "--as", "x") as process, pipe.open("w"):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err.strip()) == (130, "", "")  # a bare line end leaves "^C" alone


def test_no_color_and_pipes_hold_no_escapes(alice: Cli) -> None:
    alice("assert", "refusing/plain", "p", "v")
    assert "\x1b" not in alice("query", "refusing/plain")
    assert "\x1b" not in alice("query", "refusing/plain", env={"NO_COLOR": "1", "FORCE_COLOR": "1"})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(cli: Cli, shell: str) -> None:
    assert "_STEMEDB_COMPLETE" in cli("completion", shell)
    assert cli.json("completion", shell)["shell"] == shell


def test_completion_completes_commands_and_options(cli: Cli) -> None:
    env = {"_STEMEDB_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    assert "plain,--lens" in cli(env={**env, "COMP_WORDS": "stemedb query --le"})
    assert "plain,skeptic" in cli(env={**env, "COMP_WORDS": "stemedb ske", "COMP_CWORD": "1"})
