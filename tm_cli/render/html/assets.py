"""What a page carries with it: our style and script, and the charting library."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from tm_cli.render.html.markup import Markup, element

LIBRARY = "uplot/uPlot.iife.min.js"
LIBRARY_STYLE = "uplot/uPlot.min.css"
LIBRARY_LICENCE = "uplot/LICENSE"


def style() -> str:
    """Return the style sheet of a page."""
    return f"{_asset(LIBRARY_STYLE)}\n{_asset('report.css')}"


def script() -> str:
    """Return the script of a page, with the licence of what is in it."""
    return f"/*!\n{_asset(LIBRARY_LICENCE)}\n*/\n{_asset(LIBRARY)}\n{_asset('report.js')}"


def policy(*, style: str, script: str) -> str:
    """Return the content security policy: these two run, and nothing is ever fetched."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def inline(name: str, content: str) -> Markup:
    """Return a `style` or `script` element with content of ours."""
    if f"</{name}" in content.lower() or "<!--" in content:
        raise ValueError(f"this {name} would end its element")
    return element(name, Markup(content))


def _asset(name: str) -> str:
    text = (files("tm_cli.render.html") / "assets" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n").strip("\n")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
