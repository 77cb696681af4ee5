"""The key ring keeps secrets: private, whole, never lost to another writer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stemedb import limits
from stemedb.cli.keyring import KeyRing
from stemedb.errors import BadSettings, Conflict, Invalid, NotFound

BIN = Path(sys.executable).parent


def test_create_keeps_the_key_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    signer = KeyRing(path).create("alice")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert KeyRing(path).signer("alice").agent_id == signer.agent_id
    assert KeyRing(path).names() == ["alice"]
    assert json.loads(path.read_text()) == {"version": 1, "seeds": {"alice": signer.seed.hex()}}


def test_create_refuses_a_taken_name(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    first = ring.create("alice")
    with pytest.raises(Conflict, match="'alice' exists"):
        ring.create("alice")
    assert KeyRing(ring.path).signer("alice").seed == first.seed


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00", "x" * (limits.KEY_NAME_BYTES_MAX + 1), "\udc80"])
def test_create_refuses_a_name_that_cannot_be_shown(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid):
        KeyRing(tmp_path / "keys.json").create(name)
    assert not (tmp_path / "keys.json").exists()


def test_signer_says_how_to_make_a_missing_key(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        KeyRing(tmp_path / "keys.json").signer("bob")
    assert "stemedb keygen bob" in caught.value.hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_open_refuses_a_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    ring.create("alice")
    ring.path.chmod(mode)
    with pytest.raises(BadSettings, match="can be read by others") as caught:
        KeyRing(ring.path)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"version":1}',
        '{"version":1,"seeds":{"a":"00"}}',
        '{"version":1,"seeds":{"a":"zz"}}',
        '{"version":2,"seeds":{}}',
        '{"version":1,"seeds":{},"extra":1}',
    ],
)
def test_open_refuses_what_is_no_key_ring_and_leaves_it_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(BadSettings, match=r"key ring"):
        KeyRing(path)
    assert path.read_text() == content


def test_save_keeps_what_another_process_added_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ours, theirs = KeyRing(path), KeyRing(path)
    new = ours.signer_or_new("ours")
    theirs.create("theirs")
    ours.save()
    assert KeyRing(path).names() == ["ours", "theirs"]
    assert KeyRing(path).signer("ours").seed == new.seed


def test_save_refuses_a_name_that_another_process_made_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ours, theirs = KeyRing(path), KeyRing(path)
    ours.signer_or_new("same")
    kept = theirs.create("same")
    with pytest.raises(Conflict, match="at the same time"):
        ours.save()
    assert KeyRing(path).signer("same").seed == kept.seed


def test_keygen_by_many_processes_at_once_loses_no_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    names = [f"agent-{number}" for number in range(6)]
    running = [
        subprocess.Popen(
            [BIN / "stemedb", "keygen", name, "--keyring", path], stdout=subprocess.PIPE, text=True
        )
        for name in names
    ]
    printed = {name: process.communicate()[0].strip() for name, process in zip(names, running, strict=True)}
    ring = KeyRing(path)
    assert ring.names() == names
    assert {name: ring.signer(name).agent_id.hex() for name in names} == printed
    leftovers = sorted(path.name for path in tmp_path.iterdir())
    assert leftovers == ["keys.json", "keys.json.lock"]


def test_save_into_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadSettings, match=r"cannot (read|write) the key ring"):
        KeyRing(tmp_path / "file" / "keys.json").create("alice")
