"""Taking a secret out of the process's memory, as far as that is possible."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_ENV_START: Final = 47  # of the fields of /proc/self/stat behind the program's name (proc(5))


def forget_variable(name: str) -> None:
    """Overwrite a variable's value where the kernel shows the environment that the process began with.

    Best effort: whoever can read that can read the rest of the memory too, but not every tool that prints
    environments shall print a secret.
    """
    wanted = f"{name}=".encode()
    try:
        environment = Path("/proc/self/environ").read_bytes()
        stat = Path("/proc/self/stat").read_text("ascii", "replace").rpartition(") ")[2].split()
        start = int(stat[_ENV_START])
        place = 0
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            for variable in environment.split(b"\0"):
                if variable.startswith(wanted):
                    memory.seek(start + place + len(wanted))
                    memory.write(bytes(len(variable) - len(wanted)))
                place += len(variable) + 1
    except (OSError, ValueError, IndexError):
        return
