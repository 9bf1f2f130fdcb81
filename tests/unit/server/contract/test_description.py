"""The OpenAPI document is published as JSON and as YAML."""

import json

import httpx2
import pytest
import yaml

JSON, YAML = "/v3/api-docs/v1", "/v3/api-docs.yaml/v1"


@pytest.fixture
def stranger(shared_api):
    """A client without the key."""
    with httpx2.Client(base_url=shared_api.client.base_url) as client:
        yield client


def test_it_needs_no_key_on_this_machine(stranger):
    as_json, as_yaml = stranger.get(JSON), stranger.get(YAML)
    assert as_json.headers["content-type"] == "application/json"
    assert as_yaml.headers["content-type"] == "application/yaml"
    assert json.loads(as_json.text) == yaml.safe_load(as_yaml.text)
    assert as_json.json()["openapi"] == "3.1.0"


@pytest.mark.parametrize("path", ["/v3/api-docs", "/v3/api-docs.yaml"])
def test_without_its_group_it_is_refused(shared_api, stranger, path):
    refused, forbidden = stranger.get(path), shared_api.client.get(path)
    assert (refused.status_code, refused.json()["code"]) == (401, "AUTH_REQUIRED")
    assert (forbidden.status_code, list(forbidden.json())) == (403, ["error"])


@pytest.mark.parametrize("path", [JSON, YAML])
@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.test"}, 421), ({"Origin": "http://evil.test"}, 403)],
)
def test_it_is_for_no_web_page(stranger, path, headers, status):
    assert stranger.get(path, headers=headers).status_code == status


def test_every_reference_leads_somewhere(stranger):
    text = stranger.get(JSON).text
    document = json.loads(text)
    names = document["components"]["schemas"]
    parts = text.split('"$ref": "#/components/schemas/')[1:]
    assert {part.partition('"')[0] for part in parts} <= names.keys()


def test_objects_that_are_made_lead_to_their_operations(stranger):
    paths = stranger.get(JSON).json()["paths"]
    created = paths["/api/v1/profiles"]["post"]["responses"]["201"]["links"]
    assert {"getProfile", "startRun", "deleteProfile", "exportProfile"} <= created.keys()
    assert created["startRun"]["parameters"] == {"id": "$response.body#/id"}
