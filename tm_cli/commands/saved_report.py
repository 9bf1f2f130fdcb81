"""A report file, JSON or HTML, as evidence again."""

from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path

from tm_cli.api import strict_json
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.gate.record import Evidence
from tm_cli.report.reader import InvalidReport, read_report
from tm_cli.text import clean

LARGEST = 256 * 1024 * 1024
"""Bytes; a run of two days has a hundredth of it."""

ELEMENT = "tm-evidence"
"""The id of the element in an HTML report that holds the JSON document."""


def load(path: Path) -> Evidence:
    """Return the evidence in a report; raises ConfigurationError for what is none."""
    try:
        return read_report(strict_json.parse(_document(_text(path))))
    except (InvalidReport, ValueError) as problem:
        raise _unusable(path, clean(problem)) from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise _unusable(path, "it is too large")
        return path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise ConfigurationError(
            f"cannot read the report {path}: {problem.strerror}",
            hint="`--report json=FILE` writes one",
        ) from None


def _unusable(path: Path, problem: str) -> TmError:
    return ConfigurationError(
        f"{path} is no report that a decision can rest on: {problem}",
        hint="name a file that `--report json=FILE` or `--report html=FILE` has written",
    )


def _document(text: str) -> str:
    """The JSON text: the whole file, or what an HTML page embeds."""
    if not text.lstrip().startswith("<"):
        return text
    page = _Page()
    page.feed(text)
    page.close()
    if len(page.found) != 1:
        raise InvalidReport(f"the page holds {len(page.found) or 'no'} evidence")
    return page.found[0]


class _Page(HTMLParser):
    """Collects the contents of the elements that hold evidence."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin to collect at our element."""
        own = dict(attrs)
        if tag == "script" and own.get("id") == ELEMENT and own.get("type") == "application/json":
            self._inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        """Stop at its end."""
        if tag == "script":
            self._inside = False

    def handle_data(self, data: str) -> None:
        """Take the text within it."""
        if self._inside:
            self.found[-1] += data


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths name one file."""
    return os.path.realpath(one) == os.path.realpath(other)  # `resolve` raises for a loop
