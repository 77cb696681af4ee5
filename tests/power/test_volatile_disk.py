"""The disk under the machine: it must forget, or the cuts would prove nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.testvm import VolatileDisk

pytestmark = pytest.mark.vm

SIZE_BYTES = 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[VolatileDisk]:
    """Return a disk full of zeros, running."""
    blank = tmp_path / "blank"
    blank.write_bytes(bytes(SIZE_BYTES))
    disk = VolatileDisk(tmp_path)
    disk.fill(blank)
    disk.power_on()
    yield disk
    disk.cut_power()
    disk.wait()


def qemu_io(disk: VolatileDisk, *commands: str) -> None:
    """Do what a machine's disk driver does. Killed before its end, since that would flush."""
    arguments = [argument for command in (*commands, "abort") for argument in ("-c", command)]
    done = subprocess.run(
        ["qemu-io", "--format=raw", "--cache=writeback", *arguments, disk.url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode < 0, done.stderr
    assert "error" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr


def first_bytes_after_cut(disk: VolatileDisk) -> bytes:
    """Cut the power, switch it on again, and return how the disk begins."""
    disk.cut_power()
    disk.wait()
    disk.power_on()
    return disk.image.read_bytes()[:2]


def test_write_without_flush_is_forgotten(disk: VolatileDisk) -> None:
    qemu_io(disk, "write -P 0x61 0 512")
    assert first_bytes_after_cut(disk) == b"\0\0"


def test_write_with_flush_stays(disk: VolatileDisk) -> None:
    qemu_io(disk, "write -P 0x61 0 512", "flush")
    assert first_bytes_after_cut(disk) == b"aa"


def test_write_after_the_last_flush_is_forgotten(disk: VolatileDisk) -> None:
    qemu_io(disk, "write -P 0x61 0 512", "flush", "write -P 0x62 0 512")
    assert first_bytes_after_cut(disk) == b"aa"
