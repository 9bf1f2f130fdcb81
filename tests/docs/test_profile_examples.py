"""Profile documents in pages and examples can be used as they stand."""

import json

import pytest
import yaml

from checks.pages import ROOT, bare, blocks, rows, section
from tm_cli.backends.trafficmorph.document_files import uploaded
from tm_cli.backends.trafficmorph.profile_documents import (
    ALIASES,
    OPTIONAL,
    REQUIRED,
    portable,
    read_document,
)
from tm_cli.server.routes.profiles import read_document as accept
from tm_cli.values.thresholds import KEYS


def profiles():
    """Every example that describes a profile, by name."""
    parsed = {block.name: yaml.safe_load(block.text) for block in blocks("yaml", "json")}
    return {
        name: example
        for name, example in parsed.items()
        if isinstance(example, dict) and "points" in example and "locustfile" not in example
    }


EXAMPLES = profiles()


def test_pages_have_examples():
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_a_profile_that_the_embedded_server_accepts(name, tmp_path):
    [data] = [block.text for block in blocks("text") if block.text.startswith("id,user,weight")]
    (tmp_path / "users.csv").write_text(data)
    _, warnings = accept(uploaded(portable(EXAMPLES[name], tmp_path)))
    assert not warnings


PROFILES = [path for path in (ROOT / "examples").glob("*.yaml") if "points:" in path.read_text()]


@pytest.mark.parametrize("path", sorted(PROFILES), ids=lambda p: p.name)
def test_example_file_is_a_profile_that_the_embedded_server_accepts(path):
    _, warnings = accept(read_document(path))
    assert not warnings


def test_the_two_spellings_of_one_profile_mean_the_same():
    convenient, exported = (
        EXAMPLES[name] for name in EXAMPLES if EXAMPLES[name].get("httpMethod") == "POST"
    )
    assert portable(convenient) == portable(exported)


def test_page_lists_every_key():
    table = {bare(row[0]): row[1] for row in rows(section("docs/profiles.md", "Keys"))}
    assert {key for key, required in table.items() if required == "yes"} == set(REQUIRED)
    assert {key for key, required in table.items() if required == "no"} == set(OPTIONAL)


def test_page_lists_every_limit():
    listed = [
        name.strip(" `")
        for row in rows(section("docs/profiles.md", "Limits"))
        for name in row[0].split(",")
    ]
    assert listed == list(KEYS)


def test_page_lists_every_other_name():
    table = rows(section("docs/profiles.md", "Easier to write"))
    renamed = {bare(row[0]): bare(row[1]) for row in table if " " not in row[0]}
    assert renamed == ALIASES


def test_conveniences_become_what_the_page_says():
    profile = portable(
        {
            "name": "p",
            "endpointUrl": "http://localhost/",
            "duration": "1m30s",
            "points": [[0, 10], [30, 50]],
            "requestPayload": {"a": [1]},
        }
    )
    said = {row[0]: bare(row[1]) for row in rows(section("docs/profiles.md", "Easier to write"))}
    assert profile["duration"] == int(said["`duration: 1m30s`"])
    assert profile["points"] == json.loads(said["`points: [[0, 10], [30, 50]]`"])
    assert profile["requestPayload"] == '{"a": [1]}'
