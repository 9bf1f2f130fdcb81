"""Every report is valid by the published schema, which says no to what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.unit.report.made_evidence import ALL
from tm_cli.exit_codes import ExitCode
from tm_cli.render.formats.json_document import SCHEMA_VERSION
from tm_cli.report.document import schema_text
from tm_cli.report.writer import report_document

TEXT = schema_text()
SCHEMA = json.loads(TEXT)
VALIDATOR = Draft202012Validator(SCHEMA)


def test_schema_is_valid_and_the_docs_have_it(tm):
    Draft202012Validator.check_schema(SCHEMA)
    docs = Path(__file__).parents[3] / "docs" / "schemas" / "report-1.json"
    assert docs.read_text(encoding="utf-8") == TEXT
    assert tm("report", "schema").stdout == TEXT
    assert SCHEMA["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_schema_knows_every_exit_code():
    assert SCHEMA["properties"]["exit_code"]["enum"] == [int(code) for code in ExitCode]
    assert SCHEMA["properties"]["exit_name"]["enum"] == [code.name for code in ExitCode]


@pytest.mark.parametrize("name", ALL)
def test_report_is_valid_and_every_key_of_it_is_described(name):
    document = report_document(ALL[name])
    VALIDATOR.validate(json.loads(json.dumps(document)))
    runs = (document["data"] or {}).get("runs", [document["data"]])
    for run in filter(None, runs):
        assert set(run) <= set(SCHEMA["$defs"]["ReportedRun"]["properties"])


@pytest.mark.parametrize(
    "change",
    [
        {"exit_name": "OK"},
        {"exit_code": 0},
        {"exit_code": 9, "exit_name": "OK"},
        {"schema_version": 2},
        {"data": None},
        {"report": None},
    ],
    ids=str,
)
def test_document_that_contradicts_itself_is_invalid(change):
    document = report_document(ALL["fail"]) | change
    assert not VALIDATOR.is_valid(json.loads(json.dumps(document)))
