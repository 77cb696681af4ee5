"""Every command that a runbook names is run on the host, or it is said why not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.host.playbook import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.host.live.conftest import Machine

OPERATING = ROOT / "docs" / "operating"
PAGES = [
    *sorted((ROOT / "docs" / "runbooks").glob("*.md")),
    OPERATING / "incidents.md",
    OPERATING / "backups.md",
]
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = re.compile(
    r"/usr/local/bin/|(apt-get|chronyc|curl|df|dmesg|du|findmnt|grep|iostat|journalctl|ls|openssl|pidstat|promtool|ps"
    r"|resize2fs|smartctl|ss|stemedb|systemctl|tail|timedatectl|xfs_growfs)( |$)"
)
DISK = "asks or changes a disk of its own, which the host has not"
ELSEWHERE = "takes a blank host or a lost one: tests/host/test_disaster.py, tests/host/test_copies.py"
KEEP = "--keep-daily 7 --keep-weekly 4 --keep-monthly 6"
TRUST = "--trust-key 86c28d63..."
NOT_RUN = {
    "apt-get install chrony": "the host has no way to an archive",
    "chronyc tracking": "another service keeps the host's time",
    "chown --reference=/restored/backups/wal /restored/backups/wal/archive.json": ELSEWHERE,
    "curl -s http://127.0.0.1:18180/v1/health": "the host has no curl; tests/e2e asks the same",
    "dmesg": DISK,
    "install -d -m 755 /restored": ELSEWHERE,
    "iostat -x 1": "of a package that the host has not, and has no end",
    "pidstat -d 1": "of a package that the host has not, and has no end",
    "resize2fs": DISK,
    "restic restore latest --target /restored": ELSEWHERE,
    "smartctl -a": DISK,
    "smartctl -a DEVICE": DISK,
    "mv /restored/var/backups/stemedb/archive.json /restored/backups/wal/": ELSEWHERE,
    "stemedb archive": "is the archive's own service",
    f"stemedb backup verify --full --from /restored/backups {TRUST}": ELSEWHERE,
    "stemedb log repair --truncate-at SEQ": "gives records up: tests/durability/test_commands.py",
    f"stemedb restore --from /backups --wal-dir /data/wal --db-dir /data/db {TRUST}": ELSEWHERE,
    "xfs_growfs": DISK,
}
# What stands for a word in capitals, or is missing because the sentence says it.
FILLED = {
    "promtool check config": "promtool check config /etc/prometheus/prometheus.yml",
    "stemedb backup create": "stemedb backup create --to /backups",
    "stemedb backup verify": "stemedb backup verify --from /backups",
    "stemedb backup prune": f"stemedb backup prune --from /backups {KEEP}",
    "stemedb drill": "stemedb drill --from /backups --scratch /var/lib/stemedb-drill/restored",
    "stemedb impact SOURCE": "stemedb impact $SOURCE",
}
WORDS = {
    "AGENT": "$(cat key)",
    "HASH...": "$HASH",
    "ID": "$NOBODY",
    "MOUNTPOINT": "/var",
    "NAME": "somebody",
    "PREDICATE": "beat",
    "SUBJECT": "host://runbook",
}
PREPARED = """
export HOME=$(mktemp -d) SYSTEMD_PAGER=cat NOBODY=00000000000000000000000000000000
cd "$HOME" && rm -f /root/incident.tar.gz
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
stemedb keygen runbook > key
HASH=$(stemedb assert host://runbook beat one --as runbook --text --json | field hash)
SOURCE=$(printf 'ab%.0s' $(seq 32)) && stemedb source add letter --hash "$SOURCE"
python3 > head.json <<'END'
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:18180/v1/log/head").read().decode())
END
/usr/local/bin/backup-stemedb.sh >> /var/log/stemedb-backup.log 2>&1
export HASH SOURCE
"""
UP = "systemctl start stemedb-api.socket stemedb-api.service stemedb-archive.service"


def commands(page: str) -> Iterator[str]:
    """Yield what a page tells to run: at a prompt, or in a sentence."""
    for block in CONSOLE.findall(page):
        yield from (line[2:] for line in block.splitlines() if line.startswith(("$ ", "# ")))
    text = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`]+)`", text):
        if PROGRAMS.match(span) and span != "stemedb":
            yield re.sub(r"\s+", " ", span)


def statuses(command: str) -> set[int]:
    """The ends that are good: also of what found nothing to show."""
    if "grep" in command or command.startswith(("stemedb doctor", "journalctl")):
        return {0, 1}
    if command.startswith("systemctl status"):
        return {0, 3}
    if command.endswith(("audit ID", "HASH...")) or command == "stemedb keys revoke ID":
        return {1}  # nobody's
    if command == "findmnt /backups":
        return {1}  # no disk of its own
    return {0}


def as_run(command: str) -> str:
    filled = FILLED.get(command, command)
    return " ".join(WORDS.get(word, word) for word in filled.removeprefix("sudo ").split(" "))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem + "-" + path.parent.name)
def test_what_the_page_says_can_be_run(machine: Machine, page: Path) -> None:
    told = list(dict.fromkeys(commands(page.read_text())))
    run = [each for each in told if each not in NOT_RUN and not each.startswith(".venv/bin/")]
    lines = [f"({as_run(each)}) > output 2>&1; echo '<' $? '>' $(tail -c 300 output)" for each in run]
    try:
        said = machine.run(f"{PREPARED}\n" + "\n".join(lines))
    finally:
        machine.run(UP)
    ended = re.findall(r"^< (\d+) >(.*)$", said, re.MULTILINE)
    assert len(ended) == len(run), said
    bad = [
        f"{command}: {status} {output}"
        for command, (status, output) in zip(run, ended, strict=True)
        if int(status) not in statuses(command)
    ]
    assert not bad, "\n".join(bad)


def test_nothing_is_left_out_that_no_page_names() -> None:
    told = {each for page in PAGES for each in commands(page.read_text())}
    assert set(NOT_RUN) | set(FILLED) <= told
