"""The viewer of the API's description, as a reader's browser draws it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import Browser, chromium
from tests.e2e.service import ServiceProcess

pytestmark = pytest.mark.browser

DRAWN = """
new Promise((resolve) => {
  const look = () => {
    const drawn = [...document.querySelectorAll("#paths > details > summary")];
    const names = (each) => [...each.querySelectorAll("code")].map((code) => code.textContent);
    drawn.length ? resolve(drawn.map(names)) : setTimeout(look, 20);
  };
  look();
})
"""
SHOWN_FOR = """
(() => {
  const filter = document.getElementById("filter");
  filter.value = %r;
  filter.dispatchEvent(new Event("input"));
  const shown = [...document.querySelectorAll("#paths > details")].filter((each) => !each.hidden);
  return shown.map((each) => each.id);
})()
"""
TEXT_OF = """
(() => {
  const one = document.getElementById(%r);
  one.open = true;
  return one.innerText;
})()
"""
THROWS = """
new Promise((done) => {
  addEventListener("error", () => done());
  setTimeout(() => { throw new Error("seen"); }, 0);
})
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    running = ServiceProcess(tmp_path).start()
    yield running
    running.close()


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_the_viewer_draws_every_operation_and_asks_nobody_else(
    service: ServiceProcess, browser: Browser
) -> None:
    paths = service.get("/openapi.json").json()["paths"]
    wanted = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    browser.open(f"{service.url}/docs")
    drawn = browser.evaluate(DRAWN)
    assert {tuple(names) for names in drawn} == wanted
    assert len(drawn) == len(wanted)
    shown = browser.evaluate(SHOWN_FOR % "gold-standard")
    assert 0 < len(shown) < len(drawn)
    assert "Answers" in browser.evaluate(TEXT_OF % shown[0])
    assert browser.visit.errors == []
    asked = [urlsplit(url) for url in browser.visit.requests]
    assert {each.netloc for each in asked} == {urlsplit(service.url).netloc}
    assert {each.path for each in asked} >= {"/docs", "/openapi.json"}


def test_a_page_that_does_what_it_should_not_is_seen(service: ServiceProcess, browser: Browser) -> None:
    """The checks above can fail: another host, a script from nowhere, an exception."""
    browser.open(f"{service.url}/docs")
    browser.evaluate(DRAWN)
    browser.evaluate('fetch("http://elsewhere.invalid/").catch(() => 0)')
    browser.evaluate(THROWS)
    assert any("Content Security Policy" in each for each in browser.visit.errors)
    assert any("seen" in each for each in browser.visit.errors)
