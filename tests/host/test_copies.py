"""Copies of the backups elsewhere, made while writes go on: to another disk, and to S3; both restore."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from moto.server import ThreadedMotoServer

from tests.host.containers import Container, container
from tests.host.playbook import BIN, ROOT, play
from tools import converged

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

COPY = "/srv/second"
PASSWORD = "canary-of-the-repository"  # noqa: S105
SECRET_KEY = "canary-of-the-bucket"  # noqa: S105
TEXT = "nobody else may read this"
WAIT_S = 60.0
# Stands where restic does, notes how it was called, and calls it.
WRAPPER = """#!/bin/sh
ps -eo args >> /var/cache/stemedb-restic/called
exec /usr/bin/restic.real "$@"
"""
SLOW_RSYNC = """#!/bin/sh
exec /usr/bin/rsync.real --bwlimit=500 "$@"
"""
WRITER = """
cat > /run/writer.py <<'END'
import time
from stemedb.client import Client, sign
from stemedb.model import Assertion, ObjectKind, Signer, Value
signer = Signer(bytes(32))
with Client("http://127.0.0.1:18180") as client:
    for number in range(100_000):
        value = Value(ObjectKind.NUMBER, float(number))
        client.assert_claim(sign(Assertion("load://copied", "beat", value, 0.5, int(time.time())), signer))
END
systemd-run --quiet --unit=writer /opt/stemedb/current/bin/python /run/writer.py
"""
FETCH = """
import sys, boto3
key = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "x"}
s3 = boto3.client("s3", endpoint_url=sys.argv[1], **key)
for page in s3.get_paginator("list_objects_v2").paginate(Bucket="backups"):
    for each in page["Contents"]:
        sys.stdout.buffer.write(s3.get_object(Bucket="backups", Key=each["Key"])["Body"].read())
"""


class Copied(NamedTuple):
    """A host whose backups have been copied, the store they were copied to, and its server's key."""

    host: Container
    repository: str
    trust: str


def own_address(host: Container) -> str:
    """The address under which the host reaches this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host.address, 9))
        address: str = probe.getsockname()[0]
        return address


def wait_for(host: Container, unit: str) -> None:
    """Wait until a unit that nobody here has started says that it is done."""
    deadline = time.monotonic() + WAIT_S
    said = ""
    while "Finished" not in said:
        said = host.run(f"journalctl --no-pager -u {unit}")
        assert "Failed" not in said, said
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copied]:
    """A host that has made a backup under load, and copies of it."""
    folder = tmp_path_factory.mktemp("copied")
    with container("copied", folder, root=converged.root()) as host:
        store = ThreadedMotoServer(ip_address=own_address(host), port=0, verbose=False)
        store.start()
        try:
            repository = f"s3:http://{':'.join(map(str, store.get_host_and_port()))}/backups"
            configure(host, folder, repository)
            yield Copied(host, repository, host.run("stemedb backup key").strip())
        finally:
            store.stop()


def configure(host: Container, folder: Path, repository: str) -> None:
    """Let the playbook set up both copies, and make a backup while writes go on."""
    with Path("/usr/bin/restic").open("rb") as program:
        subprocess.run(
            ["ssh", "-F", host.ssh_config, host.login, "sudo tee /usr/bin/restic > /dev/null"],
            stdin=program,
            check=True,
        )
    host.run(f"chmod 755 /usr/bin/restic && install -d -o stemedb -g stemedb {COPY}")
    done = play(
        *("-i", str(host.inventory(folder)), str(ROOT / "site.yml"), "-vvv", "--diff"),
        variables={
            "stemedb_settings": {"STEMEDB_METER_ENABLED": "false"},
            "stemedb_backup_copy_to": COPY,
            "stemedb_backup_restic_repository": repository,
            "stemedb_backup_restic_password": PASSWORD,
            "stemedb_backup_restic_environment": {
                "AWS_ACCESS_KEY_ID": "backups",
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            },
        },
    )
    assert done.status == 0, done.output
    assert PASSWORD not in done.output
    assert SECRET_KEY not in done.output
    host.run(f"mv /usr/bin/restic /usr/bin/restic.real && cat > /usr/bin/restic <<'END'\n{WRAPPER}END\n")
    host.run("chmod 755 /usr/bin/restic && stemedb keygen operator")
    host.run(f"stemedb assert host://this says '{TEXT}' --text --as operator")
    host.run(WRITER)
    host.run("/usr/local/bin/backup-stemedb.sh")
    for unit in ("stemedb-copy.service", "stemedb-offsite.service"):
        wait_for(host, unit)


def verified(backups: Path | str, trust: str) -> list[str]:
    return ["stemedb", "backup", "verify", "--full", "--from", str(backups), "--trust-key", trust]


def test_another_disk_holds_backups_that_are_whole(copied: Copied) -> None:
    said = copied.host.run(f"cd / && {' '.join(verified(COPY, copied.trust))}")
    assert "whole up to record" in said
    # From nothing, over a slow line, beside the same writer: much is archived while the copy is made.
    copied.host.run(f"mv /usr/bin/rsync /usr/bin/rsync.real && echo '{SLOW_RSYNC}' > /usr/bin/rsync")
    copied.host.run("chmod 755 /usr/bin/rsync")
    for _ in range(2):
        copied.host.run(f"rm -rf {COPY}/* && systemctl start stemedb-copy.service")
        copied.host.run(f"cd / && {' '.join(verified(COPY, copied.trust))}")
    assert copied.host.run("systemctl is-active writer.service") == "active\n"


def test_s3_holds_nothing_that_can_be_read_there(copied: Copied) -> None:
    """Everything in the bucket is fetched as the store gives it, and searched for what was said."""
    endpoint = copied.repository.removeprefix("s3:").rpartition("/")[0]
    found = subprocess.run([BIN / "python", "-c", FETCH, endpoint], capture_output=True, check=True).stdout
    assert len(found) > 10_000
    assert TEXT.encode() not in found
    assert b"archive.json" not in found
    assert TEXT.encode() in copied.host.ssh_bytes("cat /backups/wal/*.wal", sudo=True)


def test_secrets_are_roots_and_in_no_process_list(copied: Copied) -> None:
    listed = copied.host.run("stat -c '%U %a %n' /etc/stemedb/restic.*")
    assert listed.splitlines() == [
        "root 600 /etc/stemedb/restic.env",
        "root 600 /etc/stemedb/restic.password",
    ]
    called = copied.host.run("cat /var/cache/stemedb-restic/called")
    assert "restic backup" in called
    rendered = copied.host.run(
        "cat /usr/local/libexec/stemedb-offsite.sh /etc/systemd/system/stemedb-*.service"
    )
    journal = copied.host.run("journalctl --no-pager -u 'stemedb-*'")
    for secret in (PASSWORD, SECRET_KEY):
        assert secret not in called + rendered + journal


@pytest.fixture
def opened() -> Iterator[Path]:
    """A folder that the owner of what is restored can reach: commands run by root act as that."""
    folder = Path(tempfile.mkdtemp(prefix="stemedb-restored-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_what_s3_gives_back_is_restored(copied: Copied, opened: Path) -> None:
    copied.host.run("systemctl stop writer.service")
    (opened / "password").write_text(PASSWORD)
    (opened / "password").chmod(0o600)
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(opened),
        "AWS_ACCESS_KEY_ID": "backups",
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "RESTIC_REPOSITORY": copied.repository,
        "RESTIC_PASSWORD_FILE": str(opened / "password"),
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    back = run("restic", "restore", "latest", "--target", str(opened))
    assert back.returncode == 0, back.stderr
    assert (opened / "var/backups/stemedb").stat().st_mode & 0o777 == 0o700
    backups = opened / "backups"
    (opened / "var/backups/stemedb/archive.json").rename(backups / "wal" / "archive.json")
    owner = (backups / "wal").stat()
    os.chown(backups / "wal" / "archive.json", owner.st_uid, owner.st_gid)
    assert "whole up to record" in run(*verified(backups, copied.trust)).stdout
    folders = ("--wal-dir", str(opened / "wal"), "--db-dir", str(opened / "db"))
    done = run("stemedb", "restore", "--from", str(backups), "--trust-key", copied.trust, *folders, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seq"] > 2
    (opened / "password").write_text("another")
    assert "wrong password" in run("restic", "snapshots").stderr
