"""The client has a method for each operation, and its models read every field of the answers."""

import io
import json
import re

import httpx2
import pytest

from tests.unit.server.contract.test_openapi import OPERATIONS
from tm_cli.api.trafficmorph import TrafficMorphClient
from tm_cli.api.transport import Connection, Transport, Upload
from tm_cli.values.api_key import ApiKey

PROFILE = {"name": "checkout"}
GROUPS = [{"method": "GET", "urlSkeleton": "http://127.0.0.1/"}]
CAPTURE = Upload(io.BytesIO(b"{}\n"), "capture.jsonl", "application/x-ndjson")
FILTERS = {
    "profileId": 7,
    "triggeredBy": "api",
    "region": "local",
    "autoVerdict": "PASS",
    "tag": "nightly",
    "from": "2026-01-31T12:00:00+01:00",
    "to": "2026-01-31T13:00:00Z",
}
CALLS = {
    "listProfiles": lambda client: client.list_profiles(),
    "createProfile": lambda client: client.create_profile(PROFILE),
    "getProfile": lambda client: client.get_profile(7),
    "updateProfile": lambda client: client.update_profile(7, PROFILE),
    "deleteProfile": lambda client: client.delete_profile(7),
    "deleteSchedule": lambda client: client.delete_schedule(7),
    "exportProfile": lambda client: client.export_profile(7),
    "importProfile": lambda client: client.import_profile(PROFILE),
    "start": lambda client: client.start_run(7),
    "startRun": lambda client: client.start_run(7, region="local", tags=["nightly"]),
    "stop": lambda client: client.stop_run(7),
    "pause": lambda client: client.pause_run(7),
    "resume": lambda client: client.resume_run(7),
    "getRunStatus": lambda client: client.get_run_status(7),
    "listHistory": lambda client: client.list_history(page=1, size=50, **FILTERS),
    "getHistoryItem": lambda client: client.get_history_item(7),
    "deleteRun": lambda client: client.delete_history_item(7),
    "listHistoryFilters": lambda client: client.list_history_filters(),
    "compareRuns": lambda client: client.compare_runs(7, 8),
    "listRegions": lambda client: client.list_regions(),
    "getAccount": lambda client: client.get_account(),
    "listDomains": lambda client: client.list_domains(),
    "add": lambda client: client.add_domain("example.com"),
    "verifyDns": lambda client: client.verify_domain(7, "dns"),
    "verifyHttp": lambda client: client.verify_domain(7, "http"),
    "remove": lambda client: client.delete_domain(7),
    "listVariablesSets": lambda client: client.list_variables_sets(),
    "create": lambda client: client.create_variables_set("users", "ROW", "id,weight\n1,1\n"),
    "get": lambda client: client.get_variables_set(7),
    "rename": lambda client: client.rename_variables_set(7, "users"),
    "changeMode": lambda client: client.change_variables_set_mode(7, "COLUMN"),
    "delete": lambda client: client.delete_variables_set(7),
    "analyse": lambda client: client.analyse_capture(CAPTURE),
    "importCapture": lambda client: client.import_capture(CAPTURE, GROUPS),
    "analyseRemoteCapture": lambda client: client.analyse_remote_capture(7, "a.jsonl"),
    "importRemoteCapture": lambda client: client.import_remote_capture(7, "a.jsonl", GROUPS),
    "listCaptureSources": lambda client: client.list_capture_sources(),
    "listCaptureSourceFiles": lambda client: client.list_capture_source_files(7, 20),
}
VALUES = {"integer": 7, "number": 1.5, "boolean": True}


def value_of(fact):
    if fact["type"] in VALUES:
        return VALUES[fact["type"]]
    if "enum" in fact:
        return fact["enum"][0]
    if fact.get("format") == "date-time":
        return "2026-01-31T12:00:00Z"
    return '{"a": 1}' if fact.get("encoding") else "text"


def parts_of(path):
    return re.findall(r"\[\]|\*|[^.\[\]*]+", path)


def answer_of(operation_id):
    """An answer that has every field once."""
    facts = OPERATIONS[operation_id]["response"]
    root = {}
    for path, fact in facts.items():
        place, parts = root, parts_of(path)
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        if fact["type"] not in ("array", "object"):
            place[parts[-1]] = value_of(fact)
    return plain(root)


def plain(node):
    if not isinstance(node, dict):
        return node
    if "[]" in node:
        return [plain(node["[]"])]
    return {"key" if name == "*" else name: plain(item) for name, item in node.items()}


def attribute(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower().lstrip("_")


def read(found, parts):
    """What the model has at this place; raises AttributeError or KeyError."""
    for part in parts:
        if part == "[]":
            [found] = found
        elif isinstance(found, dict):
            found = found["key" if part == "*" else part]
        else:
            found = getattr(found, attribute(part))
    return found


@pytest.fixture
def asked():
    return []


@pytest.fixture
def client(asked, clock):
    """A client whose server answers with every field that the API has."""

    def answer(request):
        request.read()
        asked.append(request)
        operation_id = OPERATION_IDS[request.method, re.sub(r"/\d+", "/{id}", request.url.path)]
        status = OPERATIONS[operation_id]["status"]
        content = b"" if status == 204 else json.dumps(answer_of(operation_id)).encode()
        headers = {"Content-Type": "application/json"}
        return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(content))

    connection = Connection(
        base_url="http://127.0.0.1/",
        key=ApiKey("tm_key"),
        clock=clock,
        environ={},
        transport=httpx2.MockTransport(answer),
    )
    return TrafficMorphClient(Transport(connection), clock)


OPERATION_IDS = {(fact["method"], fact["path"]): name for name, fact in OPERATIONS.items()}


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_method_sends_the_request_and_model_reads_the_answer(client, asked, operation_id):
    found = CALLS[operation_id](client)
    [request] = asked
    fact = OPERATIONS[operation_id]
    assert (request.method, re.sub(r"/\d+", "/{id}", request.url.path)) == (
        fact["method"],
        fact["path"],
    )
    sent = dict(request.url.params)
    assert sent.keys() == {item["name"] for item in fact["parameters"] if item["in"] == "query"}
    if fact["contentType"] == "application/json":
        document = json.loads(request.content)
        required = {path for path, field in fact["request"].items() if field["required"]}
        assert (
            fact["path"].startswith("/api/v1/profiles")
            or required & {path for path in required if "." not in path and "[" not in path}
            <= document.keys()
        )
    missing = []
    for path, field in fact["response"].items():
        try:
            value = read(found, parts_of(path))
        except (AttributeError, KeyError, ValueError, TypeError):
            missing.append(path)
            continue
        if value is None or (field["type"] in VALUES and value != VALUES[field["type"]]):
            missing.append(path)
    assert missing == []
