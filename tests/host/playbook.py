"""Run the project's playbooks as an operator does, and read what became of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent


class Run(NamedTuple):
    """One run of a playbook: its status and all that it printed."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        """How many tasks the recap counts as changed, over all hosts."""
        return sum(int(count) for count in re.findall(r"\bchanged=(\d+)", self.output))


def play(
    *arguments: str, variables: dict[str, object] | None = None, cwd: Path = ROOT, callbacks: str = ""
) -> Run:
    """Run ansible-playbook with the project's own settings; plugins in the folder `callbacks` listen."""
    command = [str(BIN / "ansible-playbook"), *arguments]
    if variables:
        command += ["--extra-vars", json.dumps(variables)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    if cwd == ROOT:
        environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    if callbacks:
        environment["ANSIBLE_CALLBACK_PLUGINS"] = str(ROOT / callbacks)
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout)
