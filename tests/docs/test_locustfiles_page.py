"""The page about locustfiles: its file and its document can be used as they stand."""

import json
import subprocess
import sys

import pytest
import yaml

from checks.pages import ROOT, bare, rows, section
from tm_cli.backends.trafficmorph.locustfiles import _KEYS
from tm_cli.backends.trafficmorph.profile_documents import read_document
from tm_cli.server.routes.profiles import read_document as accept
from tm_cli.values.failures import failure_meaning

PAGE = (ROOT / "docs/locustfiles.md").read_text(encoding="utf-8")
CODE, DOCUMENT = (
    PAGE.split(f"```{language}\n")[1].partition("```")[0] for language in ("python", "yaml")
)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "shop.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "shop.yaml").write_text(DOCUMENT, encoding="utf-8")
    return tmp_path


def test_the_document_is_one_that_the_embedded_server_accepts(project):
    document = read_document(project / "shop.yaml")
    _, warnings = accept(document)
    assert not warnings
    assert document["endpointUrl"] == "http://localhost:8080"
    assert document["locustfile"]["timeout"] == 90


@pytest.mark.process
def test_the_file_can_be_played(project):
    asked = json.dumps([[str(project / "shop.py"), {"classes": ["Shopper"]}]])
    module = "tests.unit.server.engine.locustfiles.load_files"
    command = [sys.executable, "-m", module, asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["Shopper"]]


def test_the_page_lists_every_key():
    table = PAGE.partition("| Key | Meaning |")[2].partition("\n\n")[0]
    listed = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(listed) == sorted(_KEYS)
    assert set(yaml.safe_load(DOCUMENT)["locustfile"]) <= set(_KEYS)


def test_the_errors_of_the_page_are_explained_by_reports():
    for row in rows(section("docs/locustfiles.md", "What is measured")):
        assert failure_meaning(bare(row[0]))
