"""What is malformed, unknown or not allowed is refused with status and envelope of the API."""

import json

import httpx2
import pytest

from tests.unit.server.contract.test_openapi import OPERATIONS
from tests.unit.server.running_server import body

FAR_ID = 2**63 - 1
JSON = {"Content-Type": "application/json"}
WITH_ID = [name for name, fact in OPERATIONS.items() if "{id}" in fact["path"]]
WITH_BODY = [
    name for name, fact in OPERATIONS.items() if fact["contentType"] and fact["bodyRequired"]
]
TAKES_JSON = [name for name in WITH_BODY if OPERATIONS[name]["contentType"] == "application/json"]
ANY_ID = ("stop", "pause")
"""They succeed for every id."""
NOUNS = {
    "profiles": "Profile not found",
    "history": "Run history not found",
    "domains": "Domain not found",
    "variables-sets": "Variables set not found",
    "capture-sources": "Capture source not found",
}
BODIES = {
    "updateProfile": body(),
    "rename": {"name": "other"},
    "changeMode": {"mode": "COLUMN"},
}


def send(api, operation_id, number, **how):
    fact = OPERATIONS[operation_id]
    path = fact["path"].removeprefix("/api/v1").replace("{id}", str(number))
    return api.client.request(fact["method"], "/api/v1" + path, **how)


def error_of(answer, status=400):
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert found.keys() == {"error"}
    return found["error"]


@pytest.mark.parametrize("operation_id", [name for name in WITH_ID if name not in ANY_ID])
def test_unknown_id_is_400_with_the_text_of_its_kind(shared_api, operation_id):
    noun = OPERATIONS[operation_id]["path"].split("/")[3]
    answer = send(shared_api, operation_id, FAR_ID, json=BODIES.get(operation_id))
    assert error_of(answer) == NOUNS[noun]


@pytest.mark.parametrize("operation_id", ANY_ID)
def test_stop_and_pause_succeed_for_an_unknown_id(shared_api, operation_id):
    answer = send(shared_api, operation_id, FAR_ID)
    assert answer.json() == {"runId": None, "status": "IDLE", "profileId": FAR_ID}


@pytest.mark.parametrize(
    "text", ["x", "1.5", "0x1", "1e3", "12345678901234567890", "-", "٣", "%00"]
)
def test_id_that_is_no_integer_of_64_bits_is_400(shared_api, text):
    for operation_id in ("getProfile", "stop", "getHistoryItem", "get", "remove"):
        found = error_of(send(shared_api, operation_id, text))
        assert found.startswith("id must be an integer")


MALFORMED = {
    "no body": (b"", JSON),
    "no JSON": (b"{", JSON),
    "not UTF-8": (b'{"name": "\xff"}', JSON),
    "a lone surrogate": (rb'{"name": "\ud800"}', JSON),
    "a key twice": (b'{"name": "a", "name": "b"}', JSON),
    "NaN": (b'{"name": NaN}', JSON),
    "an endless number": (b'{"duration": 1e999}', JSON),
    "too deep": (b'{"name": ' + b"[" * 100 + b"]" * 100 + b"}", JSON),
    "deeper than the stack": (b"[" * 100_000, JSON),
    "a list": (b"[]", JSON),
    "null": (b"null", JSON),
    "another type": (b'{"name": "a"}', {"Content-Type": "text/plain"}),
    "no type": (b'{"name": "a"}', {}),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_body_is_400(shared_api, kind):
    content, headers = MALFORMED[kind]
    for operation_id in TAKES_JSON:
        error_of(send(shared_api, operation_id, FAR_ID, content=content, headers=headers))


@pytest.mark.process
def test_run_starts_with_no_body_and_with_an_empty_one(shared_api):
    profile_id = shared_api.save("empty", script="mode=hold")
    for headers in ({}, JSON):
        answer = shared_api.post(f"/profiles/{profile_id}/runs", content=b"", headers=headers)
        assert answer.json()["status"] == "RUNNING"
    shared_api.delete(f"/profiles/{profile_id}")


@pytest.mark.parametrize(
    "query",
    [
        "page=-1", "page=x", "page=2147483648", "size=x", "size=2147483648", "profileId=x",
        "profileId=12345678901234567890", "from=2026-01-31T12:00:00", "to=yesterday",
        "from=2026-13-01T00:00:00Z", "from=2026-01-31T12:00:00 01:00",
    ],
)  # fmt: skip
def test_unusable_query_of_the_history_is_400_and_names_its_parameter(shared_api, query):
    assert error_of(shared_api.get(f"/history?{query}")).startswith(query.partition("=")[0])


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("runA=1", 400), ("runA=1&runB=1", 400), ("runA=1&runB=9", 404)],
)
def test_comparison_of_what_is_not_there(shared_api, query, status):
    error_of(shared_api.get(f"/history/compare?{query}"), status)


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/profiles/", "/profiles/1/", "/history/1/x", "//profiles", "/Profiles"],
)
def test_unknown_path_is_404(shared_api, path):
    error_of(shared_api.client.get("/api/v1" + path, follow_redirects=False), 404)


METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}


@pytest.mark.parametrize("path", dict.fromkeys(fact["path"] for fact in OPERATIONS.values()))
def test_other_method_is_405_and_names_those_that_are_allowed(shared_api, path):
    known = {fact["method"] for fact in OPERATIONS.values() if fact["path"] == path}
    for method in sorted(METHODS - known - {"PUT", "DELETE", "POST"} | {"OPTIONS"}):
        answer = shared_api.client.request(method, path.replace("{id}", "1"))
        error_of(answer, 405)
        assert known <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("path", ["/profiles", "/history?size=1", "/account"])
def test_head_is_get_without_a_body(shared_api, path):
    answer, same = shared_api.client.head("/api/v1" + path), shared_api.get(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(same.content))


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "tm_no"}, {"Authorization": "Bearer tm_no"}])
def test_without_the_key_every_path_is_401(shared_api, headers):
    for path in ("/profiles", "/nothing"):
        answer = httpx2.get(shared_api.client.base_url.join(f"/api/v1{path}"), headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {"error": "Authentication required", "code": "AUTH_REQUIRED"}


def test_key_may_be_a_bearer_token_and_the_other_header_wins(shared_api):
    url, key = (
        shared_api.client.base_url.join("/api/v1/profiles"),
        shared_api.client.headers["X-Api-Key"],
    )
    both = {"X-Api-Key": key, "Authorization": "Bearer tm_no"}
    for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer  {key}"}, both):
        assert httpx2.get(url, headers=headers).status_code == 200


def test_resume_without_a_run_has_its_text(shared_api):
    profile_id = shared_api.save("resume")
    answer = shared_api.post(f"/profiles/{profile_id}/resume")
    assert error_of(answer) == "No active run to resume for selected profile"


def test_times_are_utc_with_a_z(shared_api):
    created = shared_api.get(f"/profiles/{shared_api.save('times')}").json()["createdAt"]
    assert created.endswith("Z")


@pytest.mark.parametrize("name", ["A\u00dfbc", "\u0000A\u00dfBC\t", "a\u00dfBC"])
def test_names_are_compared_trimmed_and_per_character(shared_api, name):
    first = shared_api.save("a\u00dfbc")
    assert shared_api.save(name) == first
    assert shared_api.save("assbc") != first
    assert shared_api.save("\u00a0a\u00dfbc") != first


FULL = {
    "loop": False,
    "httpMethod": "PUT",
    "requestBody": "text",
    "requestHeaders": '[{"name": "A", "value": "b"}]',
    "responseScript": "function process() {}",
    "initScript": "function init() {}",
    "cleanupScript": "function cleanup() {}",
    "callbackUrl": "http://127.0.0.1:9/done",
    "autoAlertEnabled": True,
    "autoAlertMinSeverity": "FAIL",
    "autoAlertCooldownMinutes": 5,
    "autoAlertRecipients": ["a@example.com"],
    "region": "local",
    "readinessUrl": "http://127.0.0.1:9/ready",
    "interpolationMode": "LINEAR",
    "schedule": {
        "mode": "ONCE",
        "timezone": "UTC",
        "notifyEmails": [],
        "slots": [{"dayOfWeek": 7, "time": "23:59"}],
    },
}
RESET = {
    "httpMethod": "POST",
    "autoAlertEnabled": False,
    "autoAlertRecipients": [],
    "loop": False,
}
KEPT = ("region", "readinessUrl", "interpolationMode", "schedule")
SCRIPTS = ("responseScript", "initScript", "cleanupScript")
CLEARED = ("region", "readinessUrl", "requestBody", "requestHeaders", "callbackUrl", *SCRIPTS)


@pytest.fixture(scope="module")
def full(shared_api):
    """The id of a profile whose fields are all set again before each use."""
    profile_id = shared_api.save("full")

    def again():
        answer = shared_api.put(f"/profiles/{profile_id}", json=body("full") | FULL)
        assert answer.status_code == 200, answer.text
        return profile_id, answer.json()

    return again


@pytest.mark.parametrize("given", ["missing", "null"])
def test_put_keeps_five_fields_and_resets_the_others(shared_api, full, given):
    for field in FULL:
        profile_id, before = full()
        change = {key: value for key, value in FULL.items() if key != field}
        change |= {field: None} if given == "null" else {}
        after = shared_api.put(f"/profiles/{profile_id}", json=body("full") | change).json()
        expected = before[field] if field in KEPT else RESET.get(field)
        assert after.get(field) == expected, field


def test_put_of_an_empty_text_clears_a_field(shared_api, full):
    profile_id, _ = full()
    change = body("full") | FULL | dict.fromkeys(CLEARED, "")
    after = shared_api.put(f"/profiles/{profile_id}", json=change).json()
    assert {name: after[name] for name in CLEARED} == dict.fromkeys(CLEARED)


def test_put_of_an_empty_list_clears_it_and_unknown_properties_are_ignored(shared_api, full):
    profile_id, _ = full()
    change = body("full") | FULL | {"autoAlertRecipients": [], "variablesSetIds": [], "more": 1}
    after = shared_api.put(f"/profiles/{profile_id}", json=change).json()
    assert (after["autoAlertRecipients"], after["variablesSetIds"]) == ([], [])
    assert "more" not in after


def test_put_keeps_attached_sets_until_an_empty_list(shared_api, full):
    made = {"name": "kept", "mode": "ROW", "csvContent": "id,weight\na,1\n"}
    set_id = shared_api.post("/variables-sets", json=made).json()["id"]
    profile_id, _ = full()
    path = f"/profiles/{profile_id}"
    for sets, expected in [([set_id], [set_id]), (None, [set_id]), ("missing", [set_id]), ([], [])]:
        change = body("full") | ({} if sets == "missing" else {"variablesSetIds": sets})
        assert shared_api.put(path, json=change).json()["variablesSetIds"] == expected
    shared_api.delete(f"/variables-sets/{set_id}")


def test_document_of_no_known_format_is_400(shared_api):
    for document in ({}, {"_format": "x"}, [], None, "text"):
        error_of(shared_api.post("/profiles/import", content=json.dumps(document), headers=JSON))
