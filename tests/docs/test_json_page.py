"""The JSON page names the keys and error codes of the program."""

import json

import pytest

from checks.command_tree import leaves
from checks.pages import bare, blocks, page, rows, section
from tm_cli.api import errors as api_errors
from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.model import Comparison
from tm_cli.gate.outcome import Record
from tm_cli.gate.policy import Decision
from tm_cli.render.formats.json_document import SCHEMA_VERSION, document, error_document
from tm_cli.report.writer import comparison_data, run_data

GATE = "A gate: `runs start --wait` and `runs wait`"
ENDING = Decided(Decision(ExitCode.OK, ""), None, None)
GATE_DATA = run_data(Record("trafficmorph", "checkout", 1, None, ENDING))
WITHOUT_ENVELOPE = {
    "profiles export", "serve", "agent", "demo", "completion", "jobs stream", "report schema",
    "mcp", "schema",
}  # fmt: skip

WAITS = {"runs wait", "jobs wait"}


def keys(heading):
    return [bare(row[0]) for row in rows(section("docs/json-output.md", heading))]


def single(names):
    """Keys one by one, where a row names several."""
    return [name.strip(" `") for key in names for name in key.split(",")]


def test_envelope_has_exactly_the_listed_keys():
    assert keys("Envelope") == list(document(None))


def test_page_says_the_current_version():
    assert f"now {SCHEMA_VERSION} |" in section("docs/json-output.md", "Envelope")


def test_error_has_exactly_the_named_keys():
    error = error_document(TmError("it broke"))["error"]
    row = next(row for row in rows(section("docs/json-output.md", "Envelope")) if "error" in row[0])
    assert all(f"`{key}`" in row[1] for key in error)


def test_gate_data_has_exactly_the_listed_keys():
    assert single(keys(GATE)) == list(GATE_DATA)


def test_comparison_has_exactly_the_listed_keys():
    listed = single(keys("Comparisons"))
    assert listed == list(comparison_data(Comparison("p95")))
    examples = (json.loads(block.text)["data"] for block in ENVELOPES)
    compared = [item for data in examples if data for item in data["comparisons"]]
    assert all(list(item) == listed for item in compared)
    assert compared


ENVELOPES = [block for block in blocks("json") if "schema_version" in block.text]


@pytest.mark.parametrize("block", ENVELOPES, ids=lambda block: block.name)
def test_example_of_an_envelope_has_its_keys(block):
    example = json.loads(block.text)
    assert list(example) == list(document(None))
    assert example["exit_name"] == ExitCode(example["exit_code"]).name
    assert example["data"] is None or list(example["data"]) == list(GATE_DATA)


def classes(base):
    yield base
    for inner in base.__subclasses__():
        yield from classes(inner)


def test_page_names_every_error_code_of_the_program():
    assert issubclass(api_errors.ApiError, TmError)  # its classes are in the tree
    slugs = {error.slug for error in classes(TmError)} - {TmError.slug}
    missing = {slug for slug in slugs if f"`{slug}`" not in page("docs/json-output.md")}
    assert not missing


def test_page_covers_every_command():
    text = "\n".join(keys("Other commands"))
    for words, leaf in leaves():
        name = " ".join(words)
        if not leaf.hidden and name not in WITHOUT_ENVELOPE | WAITS:
            assert name in text
    for name in WITHOUT_ENVELOPE:
        assert f"`{name}" in section("docs/json-output.md", "Other commands")
