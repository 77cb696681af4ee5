"""The same access to the host as the other scenarios have."""

from tests.host.live.conftest import command, machine, pytest_terminal_summary

__all__ = ["command", "machine", "pytest_terminal_summary"]
