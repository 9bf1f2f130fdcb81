import pytest

from tests.unit.server.capture_sources.memory_source import MemorySource
from tests.unit.server.running_server import serving

FILES = {f"{n:04}.jsonl": [b"x" * n] for n in range(60)}
SOURCES = [
    MemorySource(name, FILES, root_path="logs" if name == "f" else None) for name in "cabdef"
]


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("sources") / "data", capture_sources=SOURCES) as api:
        yield api


def id_of(api, name):
    return next(
        source["id"] for source in api.get("/capture-sources").json() if source["name"] == name
    )


def files(api, name, **query):
    return api.get(f"/capture-sources/{id_of(api, name)}/files", params=query)


def test_sources_are_listed_in_the_order_of_their_names(api):
    found = api.get("/capture-sources").json()
    assert [source["name"] for source in found] == list("abcdef")
    source = found[-1]
    assert source == {
        "id": source["id"],
        "name": "f",
        "kind": "S3",
        "rootPath": "logs",
        "lastError": None,
        "createdAt": source["createdAt"],
        "updatedAt": source["createdAt"],
    }


def test_files_are_listed_newest_first_and_too_often_is_429(api):
    found = files(api, "a", limit=2).json()
    assert found == [
        {"path": "0059.jsonl", "size": 59, "modifiedAt": "2026-03-01T00:59:00.000000Z"},
        {"path": "0058.jsonl", "size": 58, "modifiedAt": "2026-03-01T00:58:00.000000Z"},
    ]
    again = files(api, "a")
    assert again.status_code == 429
    assert again.json()["error"].startswith("Too many list files requests for this source")
    assert 1 <= int(again.headers["Retry-After"]) <= 3


@pytest.mark.parametrize(
    ("name", "limit", "count"), [("b", "0", 1), ("c", "-5", 1), ("d", "999999", 60)]
)
def test_a_limit_out_of_range_is_clamped(api, name, limit, count):
    assert len(files(api, name, limit=limit).json()) == count


@pytest.mark.parametrize("limit", ["", "x", "1.5", "1e2"])
def test_a_limit_that_is_no_integer_is_refused_and_does_not_count(api, limit):
    answer = files(api, "e", limit=limit)
    assert (answer.status_code, answer.json()["error"]) == (400, "limit must be an integer")


def test_an_unknown_source_is_400(api):
    for number in ("99", "0", "-1"):
        answer = api.get(f"/capture-sources/{number}/files")
        assert (answer.status_code, answer.json()["error"]) == (400, "Capture source not found")
