"""`stemedb completion`: the script that teaches a shell the commands and options."""

from __future__ import annotations

import click
import msgspec
from click.shell_completion import get_completion_class

from stemedb.errors import StemedbError

EXAMPLE = """\b
Example:
  stemedb completion bash > ~/.local/share/bash-completion/completions/stemedb
"""


@click.command(epilog=EXAMPLE)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--json", "as_json", is_flag=True, help="Print the script as a JSON string.")
@click.pass_context
def completion(context: click.Context, shell: str, *, as_json: bool) -> None:
    """Print the completion script for SHELL."""
    kind = get_completion_class(shell)
    if kind is None:
        raise StemedbError(f"no completion for {shell}", code="no_completion")
    # `source_vars` and the template are used directly: `source()` would run the shell to learn its version.
    maker = kind(context.find_root().command, {}, "stemedb", "_STEMEDB_COMPLETE")
    script = kind.source_template % maker.source_vars()
    click.echo(msgspec.json.encode({"shell": shell, "script": script}) if as_json else script)
