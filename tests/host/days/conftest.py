"""A host on which the playbook has run once, and what an operator does with it from the controller."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.host.containers import Container, container
from tests.host.playbook import ROOT, Run, play
from tools import converged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

HTTP_TIMEOUT_S = 30
# A quota that steady clients cannot use up.
SETTINGS = {"STEMEDB_METER_QUOTA": 10_000_000}
# For tests that look at the service and its archive alone: nothing else is converged.
SERVICE_ALONE: dict[str, object] = {
    "stemedb_firewall_enabled": False,
    "stemedb_nginx_enabled": False,
    "stemedb_node_exporter_install": "none",
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests recorded."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


class Operator:
    """One host, and the playbooks of any checkout against it."""

    def __init__(self, host: Container, folder: Path, *, service_alone: bool = False) -> None:
        self.host = host
        self.run = host.run
        self.url = f"http://{host.address}:18180"
        self.inventory = host.inventory(folder, groups=["stemedb"] if service_alone else converged.GROUPS)
        self.variables = {"stemedb_settings": SETTINGS, **(SERVICE_ALONE if service_alone else {})}

    def play(
        self,
        playbook: str,
        *arguments: str,
        checkout: Path = ROOT,
        callbacks: str = "",
        variables: Mapping[str, object] | None = None,
    ) -> Run:
        """Run a checkout's playbook; `callbacks` is a folder of plugins that listen."""
        return play(
            *("-i", str(self.inventory), str(checkout / playbook), *arguments),
            variables={**self.variables, **(variables or {})},
            cwd=checkout,
            callbacks=callbacks,
        )

    def converged(
        self, playbook: str = "site.yml", checkout: Path = ROOT, variables: Mapping[str, object] | None = None
    ) -> float:
        """Run a playbook that must end well; returns its seconds."""
        started = time.monotonic()
        run = self.play(playbook, checkout=checkout, variables=variables)
        assert run.status == 0, run.output
        return time.monotonic() - started

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit, as systemd has it."""
        return self.run(f"systemctl show --value --property={name} {unit}").strip()

    @property
    def version(self) -> str:
        """The version that answers."""
        return str(self.health()["version"])

    def health(self) -> Any:  # noqa: ANN401  (any JSON)
        """What `/v1/health` says."""
        with urllib.request.urlopen(f"{self.url}/v1/health", timeout=HTTP_TIMEOUT_S) as reply:  # noqa: S310
            return json.load(reply)


@pytest.fixture(scope="module")
def operator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator of a fresh converged host; one a module, whose LEAN says that the service is enough."""
    folder = tmp_path_factory.mktemp("host")
    name = request.module.__name__.rpartition("test_")[2].replace("_", "-")
    with container(name, folder, root=converged.root()) as host:
        yield Operator(host, folder, service_alone=getattr(request.module, "LEAN", False))
