"""What is collected here: nothing where Ansible is missing; `live/` and `watched/` only with an inventory."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what has nothing to run with: an environment for the service's tests only, or no host."""
    if find_spec("ansible") is None or find_spec("testinfra") is None:
        return True
    if not {"live", "watched"}.isdisjoint(collection_path.parts) and not config.getoption(
        "ansible_inventory"
    ):
        return True
    return None
