"""A real server and a real command line for every test that needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.running import Cli
from tests.e2e.service import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One server for all tests that leave it running; each uses subjects of its own."""
    running = ServiceProcess(tmp_path_factory.mktemp("service")).start()
    yield running
    running.close()


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """Return a server of this test alone: empty, and free to be killed."""
    folder = tmp_path / "service"
    folder.mkdir()
    running = ServiceProcess(folder).start()
    yield running
    running.close()


@pytest.fixture
def cli(tmp_path: Path, service: ServiceProcess) -> Cli:
    """Return the command line of a fresh user of the shared server."""
    return Cli(tmp_path / "home", service.url)


@pytest.fixture
def own_cli(tmp_path: Path, own_service: ServiceProcess) -> Cli:
    """Return the command line of a fresh user of this test's own server."""
    return Cli(tmp_path / "home", own_service.url)
