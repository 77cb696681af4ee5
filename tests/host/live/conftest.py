"""Access to the host under test; nothing else knows how it is reached."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.host.playbook import BIN, ROOT, Run, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host  # type: ignore[import-untyped]

HTTP_TIMEOUT_S = 30


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests recorded, so that a run's output shows them."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


class Machine:
    """One host: its inside by commands as root, its outside by the address a client would use."""

    def __init__(self, host: Host, inventory: str) -> None:
        self.host = host
        self.inventory = inventory
        address = host.ansible.get_variables()["ansible_host"]
        self.url = f"http://{address}:18180"

    def run(self, command: str) -> str:
        """What a command prints; a failing one fails the test with the units' journal."""
        with self.host.sudo():
            done = self.host.run(command)
            if done.rc != 0:
                journal = self.host.run("journalctl --no-pager -n 30 -u 'stemedb*'").stdout
                pytest.fail(f"{command} ended with {done.rc}\n{done.stdout}{done.stderr}\n{journal}")
        return str(done.stdout)

    def shown(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit, as systemd has them."""
        wanted = " ".join(f"-p {name}" for name in names)
        lines = self.run(f"systemctl show {unit} {wanted}").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def get(self, path: str) -> Any:  # noqa: ANN401  (any JSON)
        """A reply's JSON, asked for from the controller."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=HTTP_TIMEOUT_S) as reply:  # noqa: S310
            return json.load(reply)

    def play(self, *arguments: str, **variables: object) -> Run:
        """Run site.yml against this host."""
        return play("-i", self.inventory, str(ROOT / "site.yml"), *arguments, variables=variables)


@pytest.fixture
def machine(host: Host, request: pytest.FixtureRequest) -> Machine:
    """The host that the scenario started."""
    return Machine(host, str(request.config.getoption("ansible_inventory")))


@pytest.fixture(scope="session")
def command() -> Callable[[str], str]:
    """Where the project's own commands are on the controller."""
    return lambda name: str(BIN / name)
