"""The compose stack, as far as it can be known without a registry: its form, and every file it mounts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator

from stemedb import __version__
from stemedb.settings import read_settings
from tests.watching.rules import ROOT

FOLDER = ROOT / "files" / "compose"
SCHEMA = json.loads(Path(__file__).with_name("compose.schema.json").read_text())
STACK: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
MOUNTS = [
    (name, *mount.split(":")[:2])
    for name, service in SERVICES.items()
    for mount in service.get("volumes", [])
]


def read(path: Path) -> Any:  # noqa: ANN401  (YAML)
    """Return a file's content."""
    return yaml.safe_load(path.read_text())


def test_has_the_form_that_compose_wants() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(STACK)] == []


@pytest.mark.parametrize(("service", "source", "target"), MOUNTS)
def test_mounts_what_is_there(service: str, source: str, target: str) -> None:
    if source.startswith("."):
        assert (FOLDER / source).resolve().exists(), f"{service}: {source} for {target}"
    elif not source.startswith("/"):
        assert source in STACK["volumes"]


def test_waits_only_for_services_that_are_there() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", [])) <= set(SERVICES)


def test_gives_the_service_settings_that_it_takes() -> None:
    environment = SERVICES["stemedb"]["environment"]
    assert str(read_settings(environment).bind_addr).endswith(":18180")
    assert f":-stemedb:{__version__}}}" in SERVICES["stemedb"]["image"]


def test_builds_from_files_that_are_there() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert "\nUSER stemedb\n" in text


@pytest.mark.watching
def test_prometheus_takes_its_configuration_and_asks_the_stacks_services(tmp_path: Path) -> None:
    path = tmp_path / "prometheus.yml"
    shutil.copy(FOLDER / "prometheus.yml", path)
    (tmp_path / "rules").mkdir()
    shutil.copy(ROOT / "files" / "prometheus" / "stemedb.rules.yml", tmp_path / "rules")
    done = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for job in read(path)["scrape_configs"]:
        ((host, _),) = (target.split(":") for target in job["static_configs"][0]["targets"])
        assert host in SERVICES


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    (source,) = read(FOLDER / "grafana" / "datasource.yml")["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    (provider,) = read(FOLDER / "grafana" / "dashboards.yml")["providers"]
    assert provider["options"]["path"] in {target for name, _, target in MOUNTS if name == "grafana"}
    targets = {source for name, source, _ in MOUNTS if name == "grafana"}
    assert "../grafana" in targets


def test_alertmanagers_example_has_receivers_for_its_routes() -> None:
    example = read(ROOT / "files" / "prometheus" / "alertmanager.example.yml")
    routes = [example["route"], *example["route"]["routes"]]
    assert {route["receiver"] for route in routes} <= {each["name"] for each in example["receivers"]}
