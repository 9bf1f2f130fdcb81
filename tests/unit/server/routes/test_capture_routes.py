"""Captures over HTTP: what is answered, what is stored, and what is refused as a whole."""

import gzip
import json

import pytest

from tests.unit.server.capture_sources.memory_source import MemorySource
from tests.unit.server.running_server import Api
from tm_cli.values.load.captures import LARGEST_CAPTURE

BIDS = b"".join(
    b'{"t":%d,"method":"POST","url":"http://127.0.0.1:9/api/bid","body":"{\\"id\\": %d}"}\n'
    % (n, n)
    for n in range(12)
)
HEALTH = b'{"t":3,"method":"GET","url":"http://127.0.0.1:9/health"}\n'
BID = {"method": "POST", "urlSkeleton": "http://127.0.0.1:9/api/bid"}
PROBE = {"method": "GET", "urlSkeleton": "http://127.0.0.1:9/health"}


def analyse(api, content):
    return api.post("/captures/analyse", files={"file": ("traffic.jsonl", content)})


def import_groups(api, *groups, content=BIDS + HEALTH, in_form=False):
    text = {"selections": json.dumps({"groups": groups})}
    how = {"data": text} if in_form else {"params": text}
    return api.post("/captures/import", files={"file": ("traffic.jsonl", content)}, **how)


def stored(api):
    return [len(api.get(path).json()) for path in ("/profiles", "/variables-sets")]


def test_an_analysis_stores_nothing(shared_api):
    before = stored(shared_api)
    found = analyse(shared_api, BIDS + b"{}\n" + HEALTH)
    assert found.status_code == 200
    assert found.json()["stats"] == {
        "totalRequests": 13,
        "parseErrorCount": 1,
        "firstParseErrorLine": 13,
        "firstParseErrorMessage": "t is missing",
        "durationSeconds": 11.0,
        "groupCount": 2,
    }
    group = found.json()["groups"][0]
    assert (group["rowCount"], group["peakQps"], group["variables"]) == (
        12,
        1.0,
        [
            {
                "name": "id",
                "source": "body",
                "jsonPath": "$.id",
                "cardinality": "MEDIUM",
                "distinctCount": 12,
                "sampleValues": ["0", "1", "2", "3", "4"],
            }
        ],
    )
    assert stored(shared_api) == before


@pytest.mark.parametrize("in_form", [False, True])
def test_selections_come_in_the_query_or_in_the_form(api, in_form):
    answer = import_groups(api, BID, {**PROBE, "profileName": " probe "}, in_form=in_form)
    assert answer.status_code == 200
    found = answer.json()
    bid, probe = found["createdProfiles"]
    assert (bid["name"], probe["name"]) == ("[capture] POST /api/bid", "probe")
    assert found["createdVariablesSetCount"] == 1
    assert found["skippedSelections"] == []
    profile = api.get(f"/profiles/{bid['profileId']}").json()
    assert (profile["requestBody"], profile["duration"]) == ('{"id": $$id$$}', 12)
    [attached] = profile["variablesSetIds"]
    described = api.get(f"/variables-sets/{attached}").json()
    assert (described["name"], described["mode"]) == ("[capture] POST /api/bid", "ROW")
    assert (described["macroColumns"], described["rowCount"]) == (["id"], 12)
    assert api.get(f"/profiles/{probe['profileId']}").json()["variablesSetIds"] == []


def test_taken_names_get_a_number(api):
    api.post("/variables-sets", json={"name": "[CAPTURE] post /api/bid (2)", "mode": "SEQUENTIAL",
             "csvContent": "a\n1\n"})  # fmt: skip
    names = [
        [each["name"] for each in import_groups(api, *groups).json()["createdProfiles"]]
        for groups in ([BID], [BID, BID], [{**PROBE, "profileName": "n" * 120}] * 2)
    ]
    usual = "[capture] POST /api/bid"
    assert names == [[usual], [f"{usual} (2)", f"{usual} (3)"], ["n" * 120, "n" * 116 + " (2)"]]
    sets = {each["name"] for each in api.get("/variables-sets").json()}
    assert {usual, f"{usual} (3)"} < sets


def test_a_selection_without_a_group_is_listed_and_nothing_else(shared_api):
    before = stored(shared_api)
    found = import_groups(shared_api, {"method": "get", "urlSkeleton": "http://x/"}).json()
    [skipped] = found["skippedSelections"]
    assert (skipped["method"], skipped["urlSkeleton"]) == ("get", "http://x/")
    assert import_groups(shared_api).json()["createdProfiles"] == []
    assert stored(shared_api) == before


@pytest.mark.parametrize(
    ("limits", "groups", "message"),
    [
        ({"profiles": 1}, [BID, PROBE], "Profile limit reached (1)"),
        ({"variables_sets": 0}, [PROBE, BID], "Variables-set quota reached"),
        ({"request_bytes": 5}, [PROBE, BID], "requestBody"),
        ({}, [PROBE, {**BID, "profileName": "n" * 121}], "profileName"),
    ],
)
def test_an_import_is_all_or_nothing(start_server, limits, groups, message):
    server = start_server(**limits)
    with server.client() as client:
        api = Api(client)
        refused = import_groups(api, *groups)
        assert refused.status_code == 400
        assert message in refused.json()["error"]
        assert stored(api) == [0, 0]


def test_a_group_that_cannot_be_a_profile_refuses_the_import(shared_api):
    before = stored(shared_api)
    blocked = HEALTH.replace(b"127.0.0.1:9", b"169.254.169.254")
    group = {"method": "GET", "urlSkeleton": "http://169.254.169.254/health"}
    refused = import_groups(shared_api, PROBE, group, content=HEALTH + blocked)
    assert refused.status_code == 400
    assert "GET http://169.254.169.254/health cannot be imported" in refused.json()["error"]
    assert stored(shared_api) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (gzip.compress(HEALTH, mtime=0), "gzip"),
        (HEALTH.decode().encode("utf-16"), "line 1: the line is not text in UTF-8"),
        (b"\0" * 100, "line 1: the line is not JSON"),
        (b'{"t":1}', "line 1: method is missing"),
    ],
    ids=["empty", "blank", "gzip", "utf-16", "nul", "keys"],
)
def test_what_is_no_capture_is_refused_with_its_line(shared_api, content, message):
    for answer in (analyse(shared_api, content), import_groups(shared_api, BID, content=content)):
        assert answer.status_code == 400
        assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("selections", "message"),
    [
        (None, "selections is missing"),
        ("", "selections is missing"),
        ("{", "selections: it is not valid JSON"),
        ("[]", "selections"),
        ("null", "selections"),
        ('{"groups": [{"method": "GET"}]}', "selections: groups.0.urlSkeleton"),
        ('{"groups": [{"method": 1, "urlSkeleton": "x"}]}', "selections: groups.0.method"),
    ],
)
def test_selections_that_cannot_be_read_name_the_field(shared_api, selections, message):
    params = {} if selections is None else {"selections": selections}
    files = {"file": ("a", HEALTH)}
    answer = shared_api.post("/captures/import", files=files, params=params)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "multipart/form-data"),
        ({"json": {}}, "multipart/form-data"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "boundary"),
        ({"content": b"x", "headers": FORM}, "not valid"),
        ({"content": PART + HEALTH, "headers": FORM}, "file is missing"),
        ({"files": {"data": ("a", HEALTH)}}, "file is missing"),
        ({"files": {"file": (None, HEALTH)}}, "needs a filename"),
        ({"files": [("file", ("a", HEALTH)), ("file", ("b", HEALTH))]}, "Too many files"),
    ],
)
def test_a_form_without_a_file_is_refused(shared_api, how, message):
    answer = shared_api.post("/captures/analyse", **how)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_a_file_that_is_too_large_is_refused_by_its_limit(shared_api):
    answer = analyse(shared_api, b"\n" * (LARGEST_CAPTURE + 1))
    assert answer.status_code == 413
    assert "120 MB" in answer.json()["error"]


def test_remote_captures_need_a_source_that_is_configured(shared_api):
    where = {"sourceId": 1, "path": "a.jsonl"}
    for path, body in (
        ("/captures/analyse-remote", where),
        ("/captures/import-remote", {**where, "selections": {"groups": [BID]}}),
    ):
        answer = shared_api.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]) == (400, "Capture source not found")
        assert shared_api.post(path, json={"sourceId": 1}).status_code == 400


def test_a_file_of_a_source_is_analysed_and_imported_like_an_upload(start_server):
    source = MemorySource(files={"traffic.jsonl": [BIDS, HEALTH]})
    server = start_server(capture_sources=[source])
    where = {"sourceId": 1, "path": "traffic.jsonl"}
    with server.client() as client:
        api = Api(client)
        found = api.post("/captures/analyse-remote", json=where)
        assert found.json() == analyse(api, BIDS + HEALTH).json()
        again = api.post("/captures/analyse-remote", json=where)
        assert (again.status_code, again.headers["Retry-After"]) == (429, "2")
        assert "Too many analyse stream requests for this source" in again.json()["error"]
        body = {**where, "selections": {"groups": [BID]}}
        [made] = api.post("/captures/import-remote", json=body).json()["createdProfiles"]
        assert made["name"] == "[capture] POST /api/bid"
        assert stored(api) == [1, 1]
        assert api.post("/captures/import-remote", json=body).status_code == 429
