"""The HTML page of a report: no network access, readable without JavaScript, data inside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from tm_cli.gate.outcome import GateOutcome
from tm_cli.render.html.charts import chart_data
from tm_cli.render.html.markup import DATA_ELEMENT, Markup, data_block, element, joined, text
from tm_cli.render.html.run import overview, run_section
from tm_cli.render.summary import leading

LIBRARY = "uplot/uPlot.iife.min.js"
LIBRARY_STYLE = "uplot/uPlot.min.css"
LIBRARY_LICENCE = "uplot/LICENSE"

CHARTS = "tm-charts"
EMPTY_ICON = "data:,"
"""Without an icon, browsers ask the server of the page for one."""


def page(outcome: GateOutcome, document: Mapping[str, Any]) -> str:
    """Return the whole page; `document` is the report's JSON form, which it embeds."""
    css, javascript = style(), script()
    records = outcome.reported
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content=policy(style=css, script=javascript),
        ),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", _title(outcome)),
        element("link", rel="icon", href=EMPTY_ICON),
        inline("style", css),
    )
    body = element(
        "body",
        element("a", "Skip to the outcome", href="#outcome", class_="skip"),
        _bar(outcome, document),
        element(
            "main",
            overview(outcome),
            *(run_section(record, n, several=len(records) > 1) for n, record in enumerate(records)),
        ),
        _foot(document),
        data_block(DATA_ELEMENT, document),
        data_block(CHARTS, chart_data(records)),
        inline("script", javascript),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _title(outcome: GateOutcome) -> str:
    records = outcome.reported
    name = records[0].subject if len(records) == 1 else f"{len(records)} runs"
    return f"{outcome.exit_code.name}: {name} (tm report)"


def _bar(outcome: GateOutcome, document: Mapping[str, Any]) -> Markup:
    """Return version and time, and the buttons, which the script shows."""
    made = outcome.made_at
    return element(
        "header",
        element("p", element("strong", "tm"), " load-test report"),
        element(
            "p",
            element("time", f"{made:%Y-%m-%d %H:%M:%S %Z}", datetime=made.isoformat()),
            class_="soft",
        ),
        element(
            "p",
            element("button", "Download data", type="button", id="tm-download"),
            element("button", "Dark", type="button", id="tm-theme"),
            class_="buttons",
            hidden=True,
            data_name=_file_name(outcome),
        ),
        class_="bar",
    )


def _file_name(outcome: GateOutcome) -> str:
    """Return a name for the downloaded data, without text of a server."""
    return f"tm-{leading(outcome).end.decision.exit_code.name.lower()}-report.json"


def _foot(document: Mapping[str, Any]) -> Markup:
    report = document.get("report")
    version = report.get("tm_version") if isinstance(report, Mapping) else None
    return element(
        "footer",
        element(
            "p",
            "Made by tm",
            joined([" ", text(version)]) if version else None,
            ". This file contains the report's data as JSON; ",
            element("code", "tm report eval FILE"),
            " evaluates it by another gate, ",
            element("code", "tm report explain FILE"),
            " explains the outcome in a sentence.",
        ),
        element("noscript", element("p", "Charts need JavaScript. Every number is in the tables.")),
    )


def style() -> str:
    return f"{_asset(LIBRARY_STYLE)}\n{_asset('report.css')}"


def script() -> str:
    """Return the script of a page, with the licence of what is in it."""
    return f"/*!\n{_asset(LIBRARY_LICENCE)}\n*/\n{_asset(LIBRARY)}\n{_asset('report.js')}"


def policy(*, style: str, script: str) -> str:
    """Return the content security policy: these two are allowed, and nothing is fetched."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def inline(name: str, content: str) -> Markup:
    """Return a `style` or `script` element; raises ValueError for text that would end it."""
    if f"</{name}" in content.lower() or "<!--" in content:
        raise ValueError(f"this {name} would end its element")
    return element(name, Markup(content))


def _asset(name: str) -> str:
    text = (files("tm_cli.render.html") / "assets" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n").strip("\n")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
