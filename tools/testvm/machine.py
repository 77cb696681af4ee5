"""A virtual machine with a root disk of its own and a data disk that forgets what was not flushed."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

from tools import testhost
from tools.testvm.disk import VolatileDisk
from tools.testvm.image import Image
from tools.testvm.process import BrokenMachine, Process

# Ends of waiting, not expectations: other work may share the processors.
BOOT_TIMEOUT_S = 600
READY_TIMEOUT_S = 300
COMMAND_TIMEOUT_S = 300
HTTP_TIMEOUT_S = 10
PAUSE_S = 0.25
SSH_PORT = 22
API_PORT = 18180
# What the roles ask of a host of the smallest profile, and a little for the kernel.
HOST_MEMORY_MB = 4096
CONSOLE_LINES_SHOWN = 40
# Mitigations guard against other guests' eyes, and are most costly where each instruction is emulated.
KERNEL_LINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off"
SSH_OPTIONS = (
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    # A machine that restarts may fall silent in the middle of a command.
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "-o", "ServerAliveInterval=15"),
)


class Shape(NamedTuple):
    """What a machine is made of, kept beside its disks."""

    kernel: str
    initrd: str
    memory_mb: int
    ports: dict[str, int]


class Machine:
    """One machine; everything of it lies in its folder, so another process can go on with it.

    All that can go wrong raises `BrokenMachine` with the end of the console.
    """

    def __init__(self, folder: Path) -> None:
        """Attach to the machine in `folder`, running or not."""
        self.folder = folder.resolve()
        self.disk = VolatileDisk(self.folder)
        self._shape = Shape(**json.loads((self.folder / "machine.json").read_text()))
        self._emulator = Process(self.folder, "qemu")

    @classmethod
    def create(
        cls,
        folder: Path,
        image: Image,
        *,
        memory_mb: int = 1024,
        forwards: tuple[int, ...] = (SSH_PORT, API_PORT),
    ) -> Machine:
        """Make a machine in the empty `folder` from `image`, switched off.

        `forwards` are its TCP ports that the loopback interface leads to; see `port`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        shape = Shape(
            str(image.kernel), str(image.initrd), memory_mb, {str(port): free_port() for port in forwards}
        )
        (folder / "machine.json").write_text(json.dumps(shape._asdict()))
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", image.root, folder / "root.qcow2"],
            check=True,
        )
        machine = cls(folder)
        machine.disk.fill(image.data)
        return machine

    # -- power --

    def boot(self) -> None:
        """Switch it on; returns when SSH answers."""
        (self.folder / "console.log").unlink(missing_ok=True)
        self.disk.power_on()
        self._emulator.start(self._command())
        self._wait(self._greeted, "SSH", BOOT_TIMEOUT_S)

    def cut_power(self) -> None:
        """Switch it off at the wall, with all that its data disk was never told to flush."""
        self._emulator.kill()
        self.disk.cut_power()
        self._emulator.wait()
        self.disk.wait()

    def reboot(self) -> None:
        """Restart it in order; returns when the new system answers over SSH."""
        before = self._boot_id()
        # The connection may end before the command's status comes back: the boot id decides.
        self.ssh("systemctl reboot", sudo=True, check=False)
        self._wait(lambda: self._greeted() and self._boot_id(check=False) not in {"", before}, "SSH again")

    def close(self) -> None:
        """End its programs; the folder stays."""
        self.cut_power()

    @property
    def running(self) -> bool:
        """Whether it is switched on."""
        return self._emulator.alive

    # -- talking to it --

    def port(self, port: int) -> int:
        """The port on 127.0.0.1 that leads to its TCP port `port`."""
        return self._shape.ports[str(port)]

    @property
    def url(self) -> str:
        """Where its service answers."""
        return f"http://127.0.0.1:{self.port(API_PORT)}"

    def ssh(self, command: str, *, sudo: bool = False, check: bool = True) -> str:
        """Run a shell command as the account that deploys; returns what it prints."""
        return self.ssh_bytes(command, sudo=sudo, check=check).decode(errors="replace")

    def ssh_bytes(self, command: str, *, sudo: bool = False, check: bool = True) -> bytes:
        """Run a command whose output is no text."""
        line = f"sudo sh -c {shlex.quote(command)}" if sudo else command
        done = subprocess.run(
            [
                *("ssh", "-i", str(testhost.identity()), "-p", str(self.port(SSH_PORT)), *SSH_OPTIONS),
                *(f"{testhost.USER}@127.0.0.1", line),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=COMMAND_TIMEOUT_S,
        )
        if check and done.returncode:
            raise BrokenMachine(f"{command!r} ended with {done.returncode}: {done.stderr.decode()}")
        return done.stdout

    def wait_ready(self) -> None:
        """Wait until the service takes reads and writes."""
        self._wait(self._ready, "the service", READY_TIMEOUT_S)

    @property
    def console(self) -> str:
        """The last lines on its console."""
        log = self.folder / "console.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-CONSOLE_LINES_SHOWN:])

    # -- inside --

    def _command(self) -> list[str]:
        shape = self._shape
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in shape.ports.items())
        return [
            # No KVM: a stock kernel hangs on the nested one of some build machines. An old processor: newer
            # ones' wide registers are slow to emulate and make the kernel load and test a dozen ciphers.
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2"),
            *("-m", str(shape.memory_mb), "-nodefaults", "-no-user-config", "-display", "none"),
            *("-serial", f"file:{self.folder / 'console.log'}"),
            *("-kernel", shape.kernel, "-initrd", shape.initrd, "-append", KERNEL_LINE),
            *("-drive", f"file={self.folder / 'root.qcow2'},format=qcow2,if=virtio,cache=writeback"),
            *("-drive", f"file={self.disk.url},format=raw,if=virtio,cache=writeback"),
            *("-netdev", f"user,id=net,{forwards}", "-device", "virtio-net-pci,netdev=net"),
        ]

    def _wait(self, condition: Callable[[], bool], what: str, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline or not self._emulator.alive:
                raise BrokenMachine(
                    f"no answer from {what}\n{self._emulator.last_words}\nits console:\n{self.console}"
                )
            time.sleep(PAUSE_S)

    def _greeted(self) -> bool:
        # The emulator accepts on its own; only the greeting comes from inside.
        try:
            address = ("127.0.0.1", self.port(SSH_PORT))
            with socket.create_connection(address, timeout=HTTP_TIMEOUT_S) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _ready(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port(API_PORT), timeout=HTTP_TIMEOUT_S)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200  # noqa: PLR2004
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _boot_id(self, *, check: bool = True) -> str:
        return self.ssh("cat /proc/sys/kernel/random/boot_id", check=check).strip()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
