"""The page that draws the description needs nothing but this server, and lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

import bottle

from stemedb.api.viewer import ROUTES

PAGE = files("stemedb.api").joinpath("viewer.html").read_text("utf-8")


def test_the_page_names_no_other_place() -> None:
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", PAGE) == []
    assert re.findall(r"\b(?:src|href|action|srcset)\s*=", PAGE) == []
    assert re.findall(r'fetch\("([^"]*)"\)', PAGE) == ["openapi.json"]


def test_the_page_makes_no_markup_of_texts() -> None:
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", PAGE) == []
    )
    assert re.findall(r"\son\w+\s*=\s*[\"']|style\s*=\s*[\"']", PAGE) == []


def test_the_policy_allows_exactly_this_page() -> None:
    response = ROUTES[0].handler(None, NoParameters())  # type: ignore[arg-type]  # it looks at nothing else
    assert isinstance(response, bottle.HTTPResponse)
    policy = response.get_header("Content-Security-Policy")
    assert response.body.decode() == PAGE
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "*" not in policy


class NoParameters:
    """A request without parameters."""

    def no_parameters(self) -> None:
        """Find none."""
