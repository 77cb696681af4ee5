"""One module a command, or a few that belong together. Commands parse, call the client, and print."""

from stemedb.cli.commands.asking import query, skeptic
from stemedb.cli.commands.asserting import assert_
from stemedb.cli.commands.completion import completion
from stemedb.cli.commands.config import config
from stemedb.cli.commands.doctor import doctor
from stemedb.cli.commands.importing import import_
from stemedb.cli.commands.keygen import keygen
from stemedb.cli.commands.log import log
from stemedb.cli.commands.sample import sample
from stemedb.cli.commands.status import status

COMMANDS = {
    "keygen": keygen,
    "assert": assert_,
    "query": query,
    "skeptic": skeptic,
    "import": import_,
    "status": status,
    "config": config,
    "sample": sample,
    "log": log,
    "doctor": doctor,
    "completion": completion,
}
