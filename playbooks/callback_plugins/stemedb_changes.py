"""Ansible callback: what a run changes, for `drift.yml`, which has to say it, and for tests.

Ansible itself counts changed tasks only when everything is over. In a play with the variable
`__stemedb_drift` the names of changed tasks become the host's variable `__stemedb_changes`. With
PLAYBOOK_RUNS_FILE in the environment each run adds one JSON line to that file: `playbook`, `check`, `changed`
(the names of changed tasks by host), `tasks` (all that it came to) and `seconds`.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase  # type: ignore[import-untyped]

DOCUMENTATION = """
name: stemedb_changes
type: aggregate
short_description: Remember the names of changed tasks
description: [Remembers the names of the tasks that change something, or would.]
"""
DRIFT, CHANGES = "__stemedb_drift", "__stemedb_changes"


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible ships no types
    """Listens only: prints nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stemedb_changes"

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401  (Ansible's own signature)
        """Nothing has changed yet."""
        super().__init__(*arguments, **named)
        self.playbook = ""
        self.tasks: list[str] = []
        self.changed: dict[str, list[str]] = {}
        self.play: Any = None
        self.started_s = time.monotonic()

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ANN401
        """Learn which playbook it is."""
        self.playbook = Path(playbook._file_name).name  # noqa: SLF001  (it has no public name)

    def v2_playbook_on_play_start(self, play: Any) -> None:  # noqa: ANN401
        """Learn whether the play asks."""
        self.play = play

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ANN401, ARG002, FBT001
        """Count the tasks that are reached."""
        self.tasks.append(task.get_name())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:  # noqa: ANN401
        """Count the handlers, too."""
        self.tasks.append(task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:  # noqa: ANN401
        """Remember a change."""
        if not result.is_changed():
            return
        host = result._host  # noqa: SLF001  (it has no public name)
        names = self.changed.setdefault(host.get_name(), [])
        names.append(result._task.get_name())  # noqa: SLF001
        if self.play.get_vars().get(DRIFT):
            self.play.get_variable_manager().set_nonpersistent_facts(host.get_name(), {CHANGES: names})

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ANN401, ARG002
        """Write the run down, if anybody wants it."""
        file = os.environ.get("PLAYBOOK_RUNS_FILE")
        if file:
            line = {
                "playbook": self.playbook,
                "check": bool(context.CLIARGS.get("check")),
                "changed": self.changed,
                "tasks": self.tasks,
                "seconds": round(time.monotonic() - self.started_s, 1),
            }
            with Path(file).open("a") as runs:
                runs.write(json.dumps(line) + "\n")
