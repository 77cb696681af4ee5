"""Fixtures that every test may use."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# No deadline: on a shared two-core machine a slow example says nothing about the code. The same
# examples each run: a red run can be repeated; `--hypothesis-profile=search` looks for new ones.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the caller's own settings away: a test sees only what it sets."""
    for name in [name for name in os.environ if name.startswith("STEMEDB_")]:
        monkeypatch.delenv(name)
