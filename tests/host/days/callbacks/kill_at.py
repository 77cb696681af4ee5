"""Ansible callback: kill the run, as a lost controller would, at the task of number STEMEDB_KILL_AT."""

from __future__ import annotations

import os
import signal
from typing import Any

from ansible.plugins.callback import CallbackBase  # type: ignore[import-untyped]

DOCUMENTATION = """
name: kill_at
type: aggregate
short_description: Kill the run at a task boundary
description: [Kills the run at a task boundary.]
"""


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible ships no types
    """Counts tasks and handlers."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_at"

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401  (Ansible's own signature)
        """Nothing has been reached yet."""
        super().__init__(*arguments, **named)
        self.left = int(os.environ["STEMEDB_KILL_AT"])

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ANN401, ARG002, FBT001
        """Count a task."""
        self._reach()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:  # noqa: ANN401, ARG002
        """Count a handler."""
        self._reach()

    def _reach(self) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
