"""The page around the runs: its policy, its head, what it carries with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm_cli.gate.record import Evidence
from tm_cli.render.html import EVIDENCE, assets
from tm_cli.render.html.charts import chart_data
from tm_cli.render.html.markup import Markup, data_block, element, joined, text
from tm_cli.render.html.overview import overview
from tm_cli.render.html.run import run_section
from tm_cli.render.outcome_words import leading

CHARTS = "tm-charts"
EMPTY_ICON = "data:,"
"""Without an icon, browsers ask the server of the page for one."""


def page(evidence: Evidence, document: Mapping[str, Any]) -> str:
    """Return the whole page."""
    style, script = assets.style(), assets.script()
    told = evidence.told
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content=assets.policy(style=style, script=script),
        ),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", _title(evidence)),
        element("link", rel="icon", href=EMPTY_ICON),
        assets.inline("style", style),
    )
    body = element(
        "body",
        element("a", "Skip to the outcome", href="#outcome", class_="skip"),
        _bar(evidence, document),
        element(
            "main",
            overview(evidence),
            *(run_section(record, n, several=len(told) > 1) for n, record in enumerate(told)),
        ),
        _foot(document),
        data_block(EVIDENCE, document),
        data_block(CHARTS, chart_data(told)),
        assets.inline("script", script),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _title(evidence: Evidence) -> str:
    told = evidence.told
    name = told[0].subject if len(told) == 1 else f"{len(told)} runs"
    return f"{evidence.exit_code.name}: {name} (tm report)"


def _bar(evidence: Evidence, document: Mapping[str, Any]) -> Markup:
    """Who made the page and when, and the buttons, which the script shows."""
    made = evidence.made_at
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
            element("button", "Download evidence", type="button", id="tm-download"),
            element("button", "Dark", type="button", id="tm-theme"),
            class_="buttons",
            hidden=True,
            data_name=_file_name(evidence),
        ),
        class_="bar",
    )


def _file_name(evidence: Evidence) -> str:
    """A name for the evidence on disk that no text of a server is part of."""
    return f"tm-{leading(evidence).end.decision.exit_code.name.lower()}-evidence.json"


def _foot(document: Mapping[str, Any]) -> Markup:
    report = document.get("report")
    version = report.get("tm_version") if isinstance(report, Mapping) else None
    return element(
        "footer",
        element(
            "p",
            "Made by tm",
            joined([" ", text(version)]) if version else None,
            ". The evidence stands in this file as JSON; ",
            element("code", "tm report eval FILE"),
            " holds it against another gate, ",
            element("code", "tm report explain FILE"),
            " says in a sentence what decided.",
        ),
        element("noscript", element("p", "Charts need JavaScript. Every number is in the tables.")),
    )
