"""The page at /docs that draws the API's description: one file of ours, nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import Final

import bottle

from stemedb.api.call import Call
from stemedb.api.routes import Route
from stemedb.api.service import Service

HTML: Final = "text/html; charset=utf-8"


def _hashes(page: str, tag: str) -> str:
    """Return the CSP sources that allow exactly the inline elements `tag` of `page`."""
    digests = (
        hashlib.sha256(inside.encode()).digest()
        for inside in re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    )
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


_PAGE: Final = files("stemedb.api").joinpath("viewer.html").read_text("utf-8")
# The page may run its own script and ask its own server: a text in the description can do nothing.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        f"script-src {_hashes(_PAGE, 'script')}",
        f"style-src {_hashes(_PAGE, 'style')}",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "Content-Type": HTML,
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def viewer(_service: Service, call: Call) -> bottle.HTTPResponse:
    """GET /docs."""
    call.no_parameters()
    return bottle.HTTPResponse(_PAGE.encode(), 200, dict(_HEADERS))


ROUTES = (
    Route(
        "GET", "/docs", viewer, "A page that draws this description.", {200: ()}, reply_type=HTML, quiet=True
    ),
)
