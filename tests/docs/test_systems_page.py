"""The table of endpoints is true: each command sends the request that its row names."""

import json
import re
from pathlib import Path

import pytest

from tests.services.strait.api import ROUTES, route_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "systems.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("\n## Strait\n")[2].partition("\n## ")[0]
ROW = re.compile(r"^\| `((?:GET|POST|DELETE) [^`]+)` \| (.*) \|$", re.MULTILINE)
TABLE = dict(ROW.findall(SECTION))
LINES = [
    (endpoint, command.strip("`"))
    for endpoint, cell in TABLE.items()
    for command in cell.split(", ")
]
DESCRIPTION = {
    "project_id": "proj-1",
    "name": "New",
    "slug": "new",
    "endpoint_url": "https://jobs.example/new",
}


def test_table_names_every_endpoint():
    assert set(TABLE) == {" ".join(route) for route in ROUTES} - {"GET /health"}


@pytest.mark.parametrize(("endpoint", "line"), LINES, ids=lambda text: text)
def test_command_sends_the_request(jobs, strait, tm, endpoint, line):
    job = strait.job()
    run = strait.world.make_run(job["id"])
    file = tm.cwd / "file.json"
    file.write_text(json.dumps([{}] if "bulk" in line else DESCRIPTION))
    named = {"JOB": "export", "RUN": run.id, "FILE": str(file), "TIME": "2026-03-02T12:00:00Z"}
    words = [named.get(word, word) for word in line.removeprefix("tm jobs ").split()]
    jobs(*words, "--json")
    assert endpoint in {route_of(item.method, item.path) for item in strait.api.log}
