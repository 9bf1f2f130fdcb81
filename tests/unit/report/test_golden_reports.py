"""Each format of each outcome is as it was; TM_GOLDEN=write writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.report.made_evidence import ALL
from tm_cli import __version__
from tm_cli.commands.shared.report_sinks import Format, rendered

GOLDEN = Path(__file__).with_name("golden")
SUFFIXES = {
    Format.JSON: "json",
    Format.JUNIT: "xml",
    Format.MARKDOWN: "md",
    Format.CSV: "csv",
    Format.DOTENV: "env",
    Format.METRICS: "txt",
}


@pytest.mark.parametrize("form", SUFFIXES, ids=lambda form: form.value)
@pytest.mark.parametrize("name", ALL)
def test_report_is_as_it_was(name, form):
    path = GOLDEN / f"{name}.{SUFFIXES[form]}"
    text = rendered(form, ALL[name]).replace(f'"{__version__}"', '"VERSION"')
    if os.environ.get("TM_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8", newline="\n")
    assert path.read_text(encoding="utf-8") == text


def test_no_golden_file_is_left_over():
    expected = {f"{name}.{suffix}" for name in ALL for suffix in SUFFIXES.values()}
    assert {path.name for path in GOLDEN.iterdir()} == expected
