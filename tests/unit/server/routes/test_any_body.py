"""Whatever is sent, the server answers with a success or a refusal, and never breaks."""

import json
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.server.running_server import Api, body
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.guard import refusal_response

numbers = st.one_of(
    st.integers(), st.floats(), st.sampled_from([2**31, 2**63, 2**64, 10**400, -1, 0, 1e308])
)
header_texts = st.sampled_from(
    ["\\ud800", "$$\\udfff$$", "\\u0000", "\\r\\n", "x" * 40_000, "[" * 9000]
)
texts = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["\0", "a\0b", "x" * 60_000, "\N{PILE OF POO}" * 5000, "$$x$$"]),
    header_texts.map(lambda text: f'[{{"name": "A", "value": "{text}"}}]'),
    header_texts.map(lambda text: f'[{{"name": "{text}", "value": ""}}]'),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
FIELDS = [
    *body(),
    "loop",
    "httpMethod",
    "requestBody",
    "requestHeaders",
    "callbackUrl",
    "autoAlertRecipients",
    "variablesSetIds",
    "region",
    "interpolationMode",
    "schedule",
    "gate",
    "readinessUrl",
    "responseScript",
    "endpointUrl",
    "_format",
    "tags",
]
GATE = ["floorMs", "minRequests", "p95", "errors", "p99.9"]
points = st.lists(st.fixed_dictionaries({"x": numbers, "y": numbers}), min_size=2, max_size=3)
changes = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=3),
    st.fixed_dictionaries({"points": points}),
    st.fixed_dictionaries({"gate": st.dictionaries(st.sampled_from(GATE), values, max_size=2)}),
)
patient = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
JSON = {"Content-Type": "application/json"}


def send(api, path, data):
    content = json.dumps(data).encode()
    answer = api.post(path, content=content, headers=JSON)
    assert answer.status_code in (200, 201, 400), answer.text
    if answer.status_code == 400:
        assert isinstance(answer.json()["error"], str)
    return answer


@pytest.mark.process
@patient
@given(change=changes)
def test_any_profile_is_saved_or_refused_and_what_is_saved_can_be_used(shared_api, change):
    answer = send(shared_api, "/profiles", body() | change)
    if answer.status_code == 201:
        profile_id = answer.json()["id"]
        exported = shared_api.get(f"/profiles/{profile_id}/export")
        assert send(shared_api, "/profiles/import", exported.json()).status_code == 201
        send(shared_api, f"/profiles/{profile_id}/start", None)
        shared_api.post(f"/profiles/{profile_id}/stop")
        shared_api.delete(f"/profiles/{profile_id}")


@patient
@given(change=changes)
def test_any_document_is_imported_or_refused(shared_api, change):
    document = {"_format": "trafficmorph-profile-v1", **body(), "endpointUrl": "http://10.0.0.1/"}
    answer = send(shared_api, "/profiles/import", document | change)
    if answer.status_code == 201:
        shared_api.delete(f"/profiles/{answer.json()['id']}")


@pytest.mark.process
@settings(patient, max_examples=15)  # each start that is accepted costs a process
@given(data=values)
def test_any_start_body_starts_or_is_refused(shared_api, data):
    profile_id = shared_api.save()
    send(shared_api, f"/profiles/{profile_id}/runs", data)
    shared_api.post(f"/profiles/{profile_id}/stop")


@patient
@given(query=st.dictionaries(
    st.sampled_from(["page", "size", "profileId", "tag", "from", "to", "region", "autoVerdict"]),
    st.one_of(st.text(max_size=20), numbers.map(str), st.datetimes().map(str)),
))  # fmt: skip
def test_any_query_is_answered_or_refused(shared_api, query):
    answer = shared_api.get("/history", params=query)
    assert answer.status_code in (200, 400), answer.text


SURROGATES = [r"\ud800", r"$$\ud800x$$", r"\udfff\ud800", r"a\udc00b"]


@pytest.mark.parametrize("text", SURROGATES)
def test_a_lone_surrogate_inside_the_headers_is_refused_when_it_is_saved(shared_api, text):
    headers = f'[{{"name": "A", "value": "{text}"}}]'
    answer = send(shared_api, "/profiles", body(requestHeaders=headers))
    assert answer.status_code == 400
    assert "requestHeaders" in answer.json()["error"]
    document = {"_format": "trafficmorph-profile-v1", **body(requestHeaders=headers)}
    document["endpointUrl"] = document.pop("targetUrl")
    assert send(shared_api, "/profiles/import", document).status_code == 400


@pytest.mark.parametrize("text", SURROGATES)
def test_one_that_an_older_server_has_saved_is_refused_when_it_is_started(server, text):
    headers = json.dumps([{"name": "A", "value": "kept"}])
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(requestHeaders=headers)
        with sqlite3.connect(server.options.data_dir / "tm.db") as database:
            (fields,) = database.execute("SELECT fields FROM profiles").fetchone()
            changed = fields.replace("kept", text.replace("\\", "\\\\"))
            assert changed != fields
            database.execute("UPDATE profiles SET fields = ?", [changed])
        database.close()
        assert send(api, f"/profiles/{profile_id}/start", None).status_code == 400


@pytest.mark.parametrize("text", ["\ud800", "a\udfff\udc00", "\0", "x" * 10**6, "\N{PILE OF POO}"])
def test_a_refusal_can_say_any_text(text):
    answer = refusal_response(Refusal(f"field: {text}"))
    assert json.loads(answer.body)["error"].startswith("field: ")
