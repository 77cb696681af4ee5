"""The service fixture of the end-to-end tests, here too."""

from tests.e2e.conftest import server

__all__ = ["server"]
