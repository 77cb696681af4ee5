"""The kernel kills the service for its memory, under load: it is back by itself, and nothing is lost.

A cgroup with a limit of its own, and 60 clients that send most of a large body and no more.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from stemedb import limits
from tests.durability.ledger import say
from tests.host.containers import Container, container
from tests.power.evidence import check_answers, claims_in, copy_log
from tests.power.load import Ledger, Load
from tools import converged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

LIMIT_MIB = 32
HALF_SENT = 60
ACKNOWLEDGED = 100
API_PORT = 18180
# In a container systemd does not always have the memory controller: where it has not, its part is done here.
# Only what the process takes from now on counts against the limit.
SQUEEZE = f"""
pid=$(systemctl show --value --property=MainPID stemedb-api.service)
if [ -d /sys/fs/cgroup/memory ]; then
    mkdir -p /sys/fs/cgroup/memory/squeezed
    echo {LIMIT_MIB}M > /sys/fs/cgroup/memory/squeezed/memory.limit_in_bytes
    echo "$pid" > /sys/fs/cgroup/memory/squeezed/cgroup.procs
else
    used=$(systemctl show --value --property=MemoryCurrent stemedb-api.service)
    systemctl set-property --runtime stemedb-api.service MemoryMax=$((used + {LIMIT_MIB} * 1024 * 1024))
fi
"""
KILLS = """
if [ -d /sys/fs/cgroup/memory ]; then
    sed -n 's/^oom_kill //p' /sys/fs/cgroup/memory/squeezed/memory.oom_control
else
    systemctl show --value --property=Result stemedb-api.service | grep -c oom-kill
fi
"""
# A quota that a few writers cannot use up.
PREPARE = """
echo STEMEDB_METER_QUOTA=10000000 >> /etc/stemedb/config.env
systemctl restart stemedb-api.service
until stemedb status; do sleep 0.2; done
"""
BACK = (
    "until [ $(systemctl show --value --property=NRestarts stemedb-api.service) -ge 1 ] && stemedb status; "
    "do sleep 0.1; done"
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A host that the playbook has converged."""
    folder = tmp_path_factory.mktemp("out-of-memory")
    with container("out-of-memory", folder, root=converged.root()) as found:
        found.run(PREPARE)
        yield found


def half_send(address: str, sockets: ExitStack) -> None:
    """Send most of a body of the greatest size, and leave the connection open."""
    with suppress(OSError):  # the service is gone already
        connection = sockets.enter_context(socket.create_connection((address, API_PORT), timeout=30))
        head = f"POST /v1/assert HTTP/1.1\r\nHost: h\r\nContent-Length: {limits.BODY_BYTES_MAX}\r\n\r\n"
        connection.sendall(head.encode() + b" " * (limits.BODY_BYTES_MAX - 1))


def test_out_of_memory_loses_nothing_and_refuses_nobody(host: Container, tmp_path: Path) -> None:
    url = f"http://{host.address}:{API_PORT}"
    ledger = Ledger()
    with Load(url, ledger, "memory") as load, ExitStack() as sockets:
        assert ledger.wait(ACKNOWLEDGED)
        host.run(SQUEEZE)
        began = time.monotonic()
        for _ in range(HALF_SENT):
            half_send(host.address, sockets)
        host.run(BACK)
        away_s = time.monotonic() - began
        load.acknowledged(ACKNOWLEDGED)
    assert int(host.run(KILLS)) == 1
    assert load.broken, "the kill broke no request: it came when nothing was under way"
    assert [text for text in load.broken if re.search(r"(?i)refused", text)] == []
    # In order: killed, RestartSec of nothing, started, and nobody started it a second time.
    shown = host.run("systemctl show stemedb-api.service -p NRestarts,RestartUSec,ActiveState")
    assert set(shown.splitlines()) == {"NRestarts=1", "RestartUSec=5s", "ActiveState=active"}
    found = claims_in(copy_log(host, tmp_path / "log"))
    assert ledger.seqs.items() <= found.items()
    check_answers(url, ledger, set(ledger.subjects), found)
    say(f"back {away_s:.1f} s after the squeeze; all {len(ledger.seqs)} acknowledged claims are there")
