"""Settings: read strictly, documented completely."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from stemedb.errors import BadSettings
from stemedb.settings import SETTINGS, Address, Settings, example, read_settings

ROOT = Path(__file__).resolve().parents[2]


def test_defaults_serve_a_laptop() -> None:
    settings = read_settings({"PATH": "/bin", "HOME": "/"})
    assert settings.bind_addr == Address("127.0.0.1", 18180)
    assert (settings.wal_dir, settings.db_dir) == (Path("data/wal"), Path("data/db"))
    assert settings.key_dir == Path("data/wal/keys")
    assert settings.log == logging.INFO


def test_table_and_fields_are_the_same() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert {setting.field for setting in SETTINGS} == fields


def test_example_file_is_in_step() -> None:
    assert (ROOT / ".env.example").read_text() == example()


def test_reference_names_every_setting_and_its_default() -> None:
    reference = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    for setting in SETTINGS:
        assert f"`{setting.name}`" in reference
        assert not setting.default or f"`{setting.default}`" in reference


def test_example_values_are_the_defaults() -> None:
    lines = [line[1:] for line in example().splitlines() if line.startswith("#STEMEDB_")]
    assert read_settings(dict(line.split("=", 1) for line in lines)) == read_settings({})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("STEMEDB_BIND_ADDRESS", "STEMEDB_BIND_ADDR"),
        ("STEMEDB_WALDIR", "STEMEDB_WAL_DIR"),
        ("STEMEDB_METER_ENABLE", "STEMEDB_METER_ENABLED"),
        ("STEMEDB_X", "STEMEDB_"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(BadSettings) as refused:
        read_settings({name: "1"})
    assert name in refused.value.detail
    assert nearest in refused.value.detail.removeprefix(name)
    assert "\n" not in refused.value.detail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STEMEDB_BIND_ADDR", "18180"),
        ("STEMEDB_BIND_ADDR", "localhost"),
        ("STEMEDB_BIND_ADDR", "::1:18180"),
        ("STEMEDB_BIND_ADDR", "127.0.0.1:65536"),
        ("STEMEDB_BIND_ADDR", "127.0.0.1:-1"),
        ("STEMEDB_WAL_SEGMENT_BYTES", "1000"),
        ("STEMEDB_WAL_SEGMENT_BYTES", "1e9"),
        ("STEMEDB_DISK_FLOOR_MB", "-1"),
        ("STEMEDB_LOG", "loud"),
        ("STEMEDB_METER_ENABLED", "maybe"),
        ("STEMEDB_ROOT_API_KEY", "steme_live_x"),
        ("STEMEDB_ALLOWED_ORIGINS", "*"),
        ("STEMEDB_ALLOWED_ORIGINS", "https://a.example/path"),
        ("STEMEDB_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("STEMEDB_INTERNAL_NETWORKS", "everywhere"),
        ("STEMEDB_METER_QUOTA", "9"),
        ("STEMEDB_CONTENT_DEFENSE_ENABLED", "maybe"),
        ("RUST_LOG", "stemedb=loud"),
    ],
)
def test_bad_values_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=name):
        read_settings({name: value})


def test_values_are_read() -> None:
    settings = read_settings(
        {
            "STEMEDB_BIND_ADDR": "[::1]:0",
            "STEMEDB_KEY_DIR": "/keys",
            "STEMEDB_METER_ENABLED": "True",
            "STEMEDB_DISK_FLOOR_MB": "0",
        }
    )
    assert settings.bind_addr == Address("::1", 0)
    assert str(settings.bind_addr) == "[::1]:0"
    assert (settings.key_dir, settings.meter_enabled, settings.disk_floor_mb) == (Path("/keys"), True, 0)


@pytest.mark.parametrize(
    ("env", "way_out"),
    [
        ({"UNSAFE_SKIP_SIGNATURES": "true", "AUTH_ENABLED": "true"}, "set one to false"),
        ({"UNSAFE_SKIP_SIGNATURES": "true", "BIND_ADDR": "10.0.0.1:1"}, "bind 127.0.0.1"),
        ({"UNSAFE_SKIP_SIGNATURES": "true", "BIND_ADDR": "host.example:1"}, "bind 127.0.0.1"),
        ({"REQUIRE_AUTH_ON_PUBLIC_BIND": "true", "BIND_ADDR": "[::]:1"}, "STEMEDB_AUTH_ENABLED=true"),
        ({"ROOT_API_KEY": "steme_live_" + "A" * 43, "ROOT_API_KEY_FILE": "f"}, "not both"),
        ({"WAL_DIR": "/data", "DB_DIR": "/data"}, "folder of its own"),
        ({"WAL_DIR": "./data/db/wal", "DB_DIR": "data/db/"}, "folder of its own"),
    ],
)
def test_unsafe_combinations_are_refused_with_the_way_out(env: dict[str, str], way_out: str) -> None:
    with pytest.raises(BadSettings, match=way_out):
        read_settings({f"STEMEDB_{name}": value for name, value in env.items()})


def test_loopback_may_do_without_signatures_and_keys() -> None:
    for host in ("127.0.0.1", "127.8.8.8", "[::1]", "localhost"):
        env = {"STEMEDB_BIND_ADDR": f"{host}:1", "STEMEDB_UNSAFE_SKIP_SIGNATURES": "true"}
        assert not read_settings(env | {"STEMEDB_REQUIRE_AUTH_ON_PUBLIC_BIND": "true"}).exposed
    assert read_settings({"STEMEDB_BIND_ADDR": "0.0.0.0:1"}).exposed


def test_the_root_key_is_never_shown() -> None:
    secret = "steme_live_" + "A" * 43
    assert secret not in repr(read_settings({"STEMEDB_ROOT_API_KEY": secret}))
    with pytest.raises(BadSettings) as refused:
        read_settings({"STEMEDB_ROOT_API_KEY": secret + "B"})
    assert secret not in refused.value.detail


def test_own_log_level_wins_over_rusts() -> None:
    assert read_settings({"STEMEDB_LOG": "error", "RUST_LOG": "debug"}).log == logging.ERROR
    assert read_settings({"RUST_LOG": "warn,stemedb=debug"}).log == logging.WARNING
    assert read_settings({"RUST_LOG": "stemedb=debug"}).log == logging.DEBUG


def test_names_of_the_command_line_are_ignored() -> None:
    env = {"STEMEDB_URL": "http://x", "STEMEDB_API_KEY": "k", "STEMEDB_KEYRING": "f"}
    assert read_settings(env) == read_settings({})
