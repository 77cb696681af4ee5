"""Fixtures: a service process, and as many as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.service import ServiceProcess

ServerFactory = Callable[..., ServiceProcess]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerFactory]:
    """Return a factory: `server()` starts a service; its keywords are those of ServiceProcess."""
    made: list[ServiceProcess] = []

    def make(*, start: bool = True, folder: Path | None = None, **options: object) -> ServiceProcess:
        place = folder or tmp_path / f"service-{len(made)}"
        place.mkdir(parents=True, exist_ok=True)
        service = ServiceProcess(place, **options)  # type: ignore[arg-type]  # passed through
        made.append(service)
        return service.start() if start else service

    yield make
    for service in made:
        service.close()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """Return one running service for all tests of a module that do not mind each other's claims."""
    service = ServiceProcess(tmp_path_factory.mktemp("shared")).start()
    yield service
    service.close()
