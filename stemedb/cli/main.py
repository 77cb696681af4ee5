"""The entry point `stemedb`: runs one command and turns whatever happens into an exit code and one line."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from stemedb import __version__, errors
from stemedb.cli.commands import COMMANDS, load
from stemedb.cli.output import print_error
from stemedb.errors import StemedbError

if TYPE_CHECKING:
    from collections.abc import Sequence

OK = 0
REFUSED = 1
USAGE = 2
CORRUPT = 65
UNAVAILABLE = 75
CONFIGURATION = 78
INTERRUPTED = 130
BROKEN_PIPE = 141

EXAMPLE = """\b
Example:
  stemedb keygen alice
  stemedb assert drug://velorin approved true --as alice --confidence 0.9
  stemedb skeptic drug://velorin approved

\b
Exit status: 0 done, 1 refused or failed, 2 wrong usage, 65 corrupt data,
75 server not reachable or not ready, 78 unusable profile or key ring, 130 interrupted.
"""


class Root(click.Group):
    """The group of all commands, each loaded when it is called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of a newcomer's needs."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Return a command, None if there is none of that name."""
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with; a name near to the wrong one is named."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(args[0], COMMANDS, n=1)
            raise click.UsageError(
                f"no command is called {args[0]!r}" + (f", did you mean {near[0]!r}?" if near else ""), ctx
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a reader that went away ends it before click calls that a failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return _broken_pipe()


@click.group(
    cls=Root,
    epilog=EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="stemedb %(version)s")
def stemedb() -> None:
    """Assert signed claims, and ask what is known when sources disagree."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    code = run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _broken_pipe()
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; prints at most one line of error."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if any("\ud800" <= char <= "\udfff" for text in given for char in text):
        print_error(errors.Invalid("an argument is not UTF-8", hint="Check the encoding of the terminal."))
        return USAGE
    try:
        outcome = stemedb.main(given, prog_name="stemedb", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody at a terminal
        return _report(error)
    # click returns what the command returned, or the code of its own exit (as after --help).
    return outcome if isinstance(outcome, int) else OK


def _report(error: Exception) -> int:
    """Print the one line of `error` and return its exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return USAGE
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx is not None else "stemedb"
        print_error(errors.Invalid(error.format_message(), hint=f"See {path} --help."))
        return USAGE
    if isinstance(error, click.ClickException):
        error = StemedbError(error.format_message(), hint="See stemedb --help.")
    elif isinstance(error, OSError) and error.filename is not None:
        hint = "Look at who may use it, and the folders above it: root acts as the owner of the data."
        error = StemedbError(f"{error.filename}: {error.strerror}", hint=hint)
    elif not isinstance(error, StemedbError):
        error = StemedbError(f"{type(error).__name__}: {error}", hint="Please report it with this line.")
    print_error(error)
    return exit_code(error)


def exit_code(error: StemedbError) -> int:
    """Return the exit status that an error means (docs/reference/cli.md)."""
    if isinstance(error, (errors.Unavailable, errors.Locked)):
        return UNAVAILABLE
    if isinstance(error, errors.BadSettings):
        return CONFIGURATION
    if isinstance(error, errors.Corrupt):
        return CORRUPT
    return REFUSED


def _broken_pipe() -> int:
    """End quietly when the reader of a pipe went away, as any filter does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


if __name__ == "__main__":
    main()
