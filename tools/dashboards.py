"""Write files/grafana/*.json from panels.yml beside them, so that all panels look alike.

Usage: dashboards.py [--check]   (only say which file is out of step, with status 1)
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "files" / "grafana"
COLUMNS, PANEL_WIDTH, PANEL_HEIGHT = 24, 12, 8
# Grafana fills in which Prometheus, and which of its hosts.
SOURCE = {"type": "prometheus", "uid": "${source}"}
HOSTS = "label_values(stemedb_build_info, instance)"


def main() -> None:
    """Bring every file in step, or say which is not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    only_check: bool = parser.parse_args().check
    files = rendered()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'out of step' if only_check else 'written'}")
        if not only_check:
            path.write_text(files[path])
    sys.exit(1 if stale and only_check else 0)


def rendered() -> dict[Path, str]:
    """Every file with its text."""
    described: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "panels.yml").read_text())
    return {
        FOLDER / f"{name}.json": json.dumps(dashboard(name, page), indent=2, ensure_ascii=False) + "\n"
        for name, page in described.items()
    }


def dashboard(name: str, page: dict[str, Any]) -> dict[str, Any]:
    """A page as Grafana reads it: of any Prometheus, of one host or several."""
    links = {"type": "dashboards", "title": "StemeDB", "tags": ["stemedb"], "asDropdown": True}
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    host = {
        "name": "instance",
        "type": "query",
        "label": "Host",
        "datasource": SOURCE,
        "query": {"query": HOSTS, "refId": "hosts"},
        "refresh": 2,  # whenever the time that is shown changes
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": "All", "value": "$__all"},
    }
    return {
        "uid": f"stemedb-{name}",
        "title": page["title"],
        "description": page["meaning"],
        "tags": ["stemedb"],
        "schemaVersion": 37,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [{**links, "includeVars": True, "keepTime": True}],
        "annotations": {"list": []},
        "templating": {"list": [source, host]},
        "panels": [panel(described, number) for number, described in enumerate(page["panels"])],
    }


def panel(described: dict[str, Any], number: int) -> dict[str, Any]:
    """A panel as Grafana reads it, in its place."""
    row, column = divmod(number, COLUMNS // PANEL_WIDTH)
    bounds = {"min": 0, "max": described["top"]} if "top" in described else {}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": described["title"],
        "description": described["meaning"],
        "datasource": SOURCE,
        "gridPos": {
            "x": column * PANEL_WIDTH,
            "y": row * PANEL_HEIGHT,
            "w": PANEL_WIDTH,
            "h": PANEL_HEIGHT,
        },
        "fieldConfig": {
            "defaults": {
                "unit": described["unit"],
                "thresholds": thresholds(*described["marks"]),
                "color": {"mode": "palette-classic"},
                "custom": {"thresholdsStyle": {"mode": "line"}, "fillOpacity": 5, "spanNulls": False},
                **bounds,
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": expr,
                "legendFormat": "{{instance}}" if name == "host" else f"{name} {{{{instance}}}}",
            }
            for index, (name, expr) in enumerate(described["lines"].items())
        ],
    }


def thresholds(warn: float, bad: float) -> dict[str, Any]:
    """Yellow from the first mark and red from the second; where that is smaller, less is worse."""
    if bad < warn:
        steps = [("red", None), ("yellow", bad), ("green", warn)]
    else:
        steps = [("green", None), ("yellow", warn), ("red", bad)]
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


if __name__ == "__main__":
    main()
