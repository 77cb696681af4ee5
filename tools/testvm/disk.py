"""A disk with a volatile write cache: what was written and not flushed is gone when its power is cut.

Killing an emulator alone proves little: what it has written lies in the page cache of the machine it runs on
and survives, flushed or not. So a server stands between, which keeps every write in a file of its own until a
flush arrives; killed, it takes that file along.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools.testvm.process import Process


class VolatileDisk:
    """A raw image behind a cache that only a flush empties; everything of it lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        """Attach to the disk in `folder`, running or not."""
        self.image = folder / "data.img"
        self._socket = folder / "data.sock"
        self._server = Process(folder, "nbdkit")

    @property
    def url(self) -> str:
        """How qemu's tools name it."""
        return f"nbd+unix:///?socket={self._socket}"

    def fill(self, source: Path) -> None:
        """Make the image a copy of `source`, holes included."""
        subprocess.run(["cp", "--sparse=always", source, self.image], check=True)

    def power_on(self) -> None:
        """Serve the image with an empty cache."""
        self._socket.unlink(missing_ok=True)  # left behind by a cut
        # In the background: in the foreground nbdkit ends with whoever started it, and machines outlive that.
        self._server.launch(
            [
                *("nbdkit", "--pidfile", str(self._server.pid_file)),
                *("--unix", str(self._socket), "--filter=cache"),
                *("file", str(self.image), "cache=writeback"),
            ]
        )

    def cut_power(self) -> None:
        """Lose what was not flushed, now; returns before the server has ended."""
        self._server.kill()

    def wait(self) -> None:
        """Wait until it is off."""
        self._server.wait()
