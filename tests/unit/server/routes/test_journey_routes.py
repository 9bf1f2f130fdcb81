"""Journeys through the API: what is kept, refused, and handed to the load generator."""

import json

import pytest

from tests.unit.server.running_server import body
from tm_cli.server.profiles import ProfileFields
from tm_cli.server.runs.plan import load_of

pytestmark = pytest.mark.process

STEPS = [
    {
        "name": "login",
        "request": "POST /login",
        "body": "{}",
        "checks": {"status": [200], "maxTime": 0.5},
        "extract": {"token": {"json": "$.token"}},
    },
    {"think": [1.0, 3.0]},
    {"request": "GET /cart", "headers": {"Authorization": "Bearer $$token$$"}},
]
JOURNEY = {
    "steps": STEPS,
    "checks": {"body": {"lacks": "error"}},
    "cookies": True,
    "followRedirects": 5,
}


def journey(**fields):
    return body("shop", **{"targetUrl": "http://127.0.0.1:9/", **JOURNEY, **fields})


def test_journey_comes_back_as_it_was_saved_exported_and_imported(api):
    profile = api.post("/profiles", json=journey()).json()
    assert {key: profile[key] for key in JOURNEY} == JOURNEY
    document = api.get(f"/profiles/{profile['id']}/export").json()
    assert {key: document[key] for key in JOURNEY} == JOURNEY
    again = api.post("/profiles/import", json={**document, "name": "copy"})
    copy = api.get(f"/profiles/{again.json()['id']}").json()
    assert {key: copy[key] for key in JOURNEY} == JOURNEY


def test_plain_profile_is_exported_without_the_keys_of_journeys(api):
    document = api.get(f"/profiles/{api.save()}/export").json()
    assert not document.keys() & JOURNEY.keys()


def test_update_without_steps_removes_them(api):
    profile = api.post("/profiles", json=journey()).json()
    plain = body("shop", targetUrl="http://127.0.0.1:9/")
    updated = api.put(f"/profiles/{profile['id']}", json=plain).json()
    assert [updated[key] for key in JOURNEY] == [None] * 4


def test_account_says_what_the_server_can_do(api):
    features = api.get("/account").json()["features"]
    assert (features["journeys"], features["checks"]) == (True, True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"steps": [{"request": "/", "extracts": {}}]}, "steps: [0].extracts is not known"),
        ({"steps": [{"request": "GTE /"}]}, "steps: [0].request has the unknown method"),
        ({"steps": []}, "steps: is an empty list"),
        ({"checks": {"status": 500}}, "checks: status must be a status from 200 to 399"),
        ({"followRedirects": 50}, "followRedirects: is 50"),
        ({"targetUrl": "http://127.0.0.1:9/?a=b"}, "with steps it cannot have a query"),
    ],
)
def test_invalid_journey_is_refused_with_its_place(api, fields, words):
    answer = api.post("/profiles", json=journey(**fields))
    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (
            [{"request": "GET /$$id$$"}],
            "steps[0].request uses $$id$$, which no step before it extracts",
        ),
        (
            [{"request": "http://169.254.169.254/latest"}],
            "steps: http://169.254.169.254/ cannot be used: the host 169.254.169.254 is blocked",
        ),
        ([{"request": "http://8.8.8.8/"}], "8.8.8.8 is public"),
        (
            [{"request": f"http://127.0.0.{last}/"} for last in range(2, 30)],
            "steps: more than 20 hosts",
        ),
    ],
)
def test_start_is_refused_for_what_cannot_be_played(api, steps, words):
    profile = api.post("/profiles", json=journey(steps=steps)).json()
    answer = api.post(f"/profiles/{profile['id']}/runs", json={})
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert not api.rows()


def test_second_target_cannot_have_a_query(api):
    profile = api.post("/profiles", json=journey()).json()
    asked = {"againstUrl": "http://127.0.0.2:9/?a=b"}
    answer = api.post(f"/profiles/{profile['id']}/runs", json=asked)
    assert answer.json()["error"] == "againstUrl: with steps it cannot have a query"


def test_own_address_of_the_server_is_refused_in_a_step(api):
    url = str(api.client.base_url)
    profile = api.post("/profiles", json=journey(steps=[{"request": url}])).json()
    answer = api.post(f"/profiles/{profile['id']}/runs", json={})
    assert "it is this server itself" in answer.json()["error"]


FIELDS = {
    "name": "p",
    "duration": 60,
    "target_url": "http://localhost/",
    "points": ({"x": 0, "y": 1}, {"x": 60, "y": 1}),
}


def load(**fields):
    return load_of(
        ProfileFields.model_validate_json(json.dumps({**FIELDS, **fields})), "local", None
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"steps": STEPS},
        {"steps": [*STEPS, {"request": "GET /"}]},
        {"checks": {"status": [200]}},
        {"cookies": True},
        {"follow_redirects": 5},
    ],
)
def test_other_journey_is_another_load(fields):
    assert load(**fields).fingerprint != load().fingerprint
    assert load(**fields).fingerprint == load(**fields).fingerprint
    assert load(**fields).traits["journey"]


@pytest.mark.parametrize("key", ["response_script", "init_script"])
def test_other_script_is_another_load(key):
    assert load(**{key: "a"}).traits["scripts"] != load(**{key: "b"}).traits["scripts"]
    assert load(**{key: "a"}).fingerprint != load().fingerprint
    assert load(cleanup_script="a") == load()  # it is called when the load is over


def test_profile_without_a_journey_is_compared_with_older_runs():
    unused = {"steps": None, "checks": None, "cookies": False, "follow_redirects": 0}
    assert load(**unused) == load()
    assert load().traits["journey"] == ""
