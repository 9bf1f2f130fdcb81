"""The page in a real browser: nothing fetched, nothing refused, drawn in both colours."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.render.html.browser import Tab, browser, find_browser
from tests.unit.render.html.page_evidence import (
    evidence,
    hostile,
    page_of,
    passed,
    record,
    undecided,
)
from tm_cli.report.writer import report_document

PROGRAM = find_browser()
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium on the PATH or in TM_BROWSER"),
]
EVIDENCE = evidence(record(), passed(subject="login"), undecided())
INK = """
[...document.querySelectorAll('.plot canvas')].map((canvas) => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let n = 0; n < pixels.length; n += 4) {
    if (pixels[n + 3] === 255) colours.add(`${pixels[n]},${pixels[n + 1]},${pixels[n + 2]}`);
  }
  return colours.size;
})
"""
CONTRAST = """
(() => {
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map((value) => channel(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const words = [...document.querySelectorAll('p, a, td, th, dt, dd, li, span, code, summary')];
  return Math.min(...words.map((word) => {
    const [low, high] = [light(getComputedStyle(word).color), paper].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }));
})()
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all tests of this module; as root, Chromium has no sandbox."""
    profile = tmp_path_factory.mktemp("browser")
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    assert PROGRAM is not None
    with browser(PROGRAM, profile, sandbox=not is_root) as found:
        yield found


@pytest.fixture
def page(tab: Tab, tmp_path: Path) -> Path:
    """A report of three runs, open at a usual width in light colours."""
    path = tmp_path / "report.html"
    path.write_text(page_of(EVIDENCE), encoding="utf-8")
    tab.heard.clear()
    tab.prefer("light")
    tab.resize(1280)
    tab.open(path)
    return path


def complaints(tab: Tab) -> list[object]:
    """Whatever the browser had to say: exceptions, the console, refusals by the policy."""
    loud = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    return [event["params"] for event in tab.heard if event["method"] in loud]


def requested(tab: Tab) -> set[str]:
    events = [event for event in tab.heard if event["method"] == "Network.requestWillBeSent"]
    return {event["params"]["request"]["url"] for event in events}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_page_fits_and_its_charts_are_drawn(tab, page, scheme, width):
    tab.prefer(scheme)
    tab.resize(width)
    tab.open(page)
    assert tab.ask("document.documentElement.scrollWidth") <= width
    drawn = tab.ask(INK)
    assert len(drawn) == 5
    assert min(drawn) >= 3, "an empty canvas has no colours"
    assert tab.ask(CONTRAST) >= 4.5
    paper = tab.ask("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is (scheme == "light")
    assert complaints(tab) == []
    assert requested(tab) == {page.as_uri()}


def test_colours_can_be_switched_and_stay(tab, page):
    paper = "getComputedStyle(document.body).backgroundColor"
    before, drawn = tab.ask(paper), tab.ask(INK)
    tab.ask("document.getElementById('tm-theme').focus()")
    tab.ask("document.getElementById('tm-theme').click()")
    tab.settle()
    after = tab.ask(paper)
    assert after != before
    assert len(tab.ask(INK)) == len(drawn)
    tab.open(page)
    assert tab.ask(paper) == after
    tab.ask("localStorage.clear()")
    assert complaints(tab) == []


def test_plot_answers_to_the_keyboard(tab, page):
    tab.ask("document.querySelector('[data-chart=times] .u-over').focus()")
    focused = "document.activeElement.getAttribute('aria-valuetext')"
    first = tab.ask(focused)
    assert first.startswith("2.5s, ")
    tab.press("ArrowRight")
    second = tab.ask(focused)
    assert second.startswith("7.5s, ")
    assert "p99 of the baseline" in second
    tab.press("End")
    assert tab.ask(focused).startswith("2m58s, ")
    values = "document.activeElement.closest('.plot').querySelector('.u-legend').innerText"
    assert "2m58s" in tab.ask(values)
    assert complaints(tab) == []


def test_evidence_can_be_downloaded(tab, page, tmp_path):
    tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    tab.ask("document.getElementById('tm-download').click()")
    file = tmp_path / "tm-fail-report.json"
    tab.wait_for(file.exists)
    assert json.loads(file.read_text(encoding="utf-8")) == report_document(EVIDENCE)
    assert complaints(tab) == []


def test_paper_is_white_whatever_the_screen_is(tab, page):
    tab.prefer("dark")
    printed = base64.b64decode(tab.call("Page.printToPDF", printBackground=False)["data"])
    assert printed.startswith(b"%PDF")
    assert tab.ask("document.documentElement.dataset.theme ?? 'none'") == "none"
    assert tab.ask("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


def test_no_text_runs_in_a_browser(tab, tmp_path):
    tab.heard.clear()
    path = tmp_path / "hostile.html"
    attack = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
    path.write_text(page_of(hostile(attack)), encoding="utf-8")
    tab.open(path)
    assert tab.ask("window.hacked ?? null") is None
    assert tab.ask("document.images.length") == 0
    assert tab.ask("document.querySelectorAll('canvas').length") == 6
    assert complaints(tab) == []
    assert requested(tab) == {path.as_uri()}


def test_page_is_whole_without_scripts(tab, page):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.call("Page.reload")
        tab.until("document.readyState === 'complete'")
        seen = tab.ask("document.body.innerText")
        assert "the gate failed (exit 2, FAIL)" in seen
        assert "Charts need JavaScript" in seen
        assert tab.ask("document.querySelectorAll('canvas').length") == 0
        assert tab.ask("document.querySelector('.buttons').checkVisibility()") is False
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
