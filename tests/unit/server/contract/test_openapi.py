"""Every fact of the API that a client may rely on is in the document that the server publishes."""

import json
import re
from pathlib import Path

import pytest

from tm_cli.server.openapi.document import ApiDescription, methods_of
from tm_cli.server.openapi.operations import OPERATIONS as DECLARED
from tm_cli.server.server import OPERATIONS as ROUTES

FACTS = json.loads((Path(__file__).parent / "api_v1.json").read_text(encoding="utf-8"))
DOCUMENT = ApiDescription(ROUTES).document
OPERATIONS = {item["operationId"]: item for item in FACTS["operations"]}
LIMITS = {
    "minLength": "minLength",
    "maxLength": "maxLength",
    "minItems": "minItems",
    "maxItems": "maxItems",
    "min": "minimum",
    "max": "maximum",
    "const": "const",
}
NULL = re.compile(r"(startedAt|finishedAt|createdAt|latency\.\*\.(meanA|meanB|delta))$")
"""Fields that are null here although the API says otherwise: times in a damaged row of the history,
and means of runs without response times."""
IN_THE_FORM = ("query", "selections")
"""A parameter that may be a field of the form instead."""
STRICTER = ("schedule.slots[].dayOfWeek", "schedule.slots[].time")
"""Fields that the API does not require, but without which nothing could be done."""


def described(operation_id):
    fact = OPERATIONS[operation_id]
    return DOCUMENT["paths"][fact["path"]][fact["method"].lower()]


def resolved(schema):
    """The schema that a reference, or a choice with null, stands for."""
    while True:
        if "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema and {"type": "null"} in schema["anyOf"]:
            [schema] = [item for item in schema["anyOf"] if item != {"type": "null"}]
        else:
            return schema


def may_be_null(schema):
    return {"type": "null"} in schema.get("anyOf", ())


def place(schema, path):
    """The schema at a path such as `groups[].curve[].t` or `latency.*.meanA`, and its object's."""
    parent = None
    for part in re.findall(r"\[\]|\*|[^.\[\]*]+", path):
        parent = resolved(schema)
        if part == "[]":
            schema = parent["items"]
        elif part == "*":
            schema = parent["additionalProperties"]
        else:
            schema = parent["properties"][part]
    return schema, parent


def body_of(operation_id):
    content = described(operation_id)["requestBody"]["content"]
    return content[OPERATIONS[operation_id]["contentType"]]["schema"]


def answer_of(operation_id):
    fact = OPERATIONS[operation_id]
    answers = described(operation_id)["responses"]
    return answers[str(fact["status"])]["content"]["application/json"]["schema"]


def with_facts(part):
    return [name for name, fact in OPERATIONS.items() if fact[part]]


def problems(operation_id, part, find, schema):
    """What a fact says otherwise than the document, by the place of the field."""
    found = {}
    for path, fact in OPERATIONS[operation_id][part].items():
        try:
            found[path] = [*find(fact, path, *place(schema, path))]
        except KeyError as missing:
            found[path] = [f"there is no {missing}"]
    return {path: texts for path, texts in found.items() if texts}


def in_a_body(fact, path, schema, parent):
    own = resolved(schema)
    if own["type"] != fact["type"]:
        yield f"it is of type {own['type']}"
    required = path.rpartition(".")[2] in parent.get("required", ())
    if not path.endswith("[]") and required is not (fact["required"] or path in STRICTER):
        yield f"required: {required}"
    for name, keyword in LIMITS.items():
        if name in fact and own.get(keyword) != fact[name] and "enum" not in own:
            yield f"{keyword}: {own.get(keyword)}, not {fact[name]}"
    if fact.get("notBlank") and not own.get("minLength"):
        yield "it may be empty"
    if "enum" in fact and set(own.get("enum", ())) != set(fact["enum"]):
        yield f"one of {own.get('enum')}"


def in_an_answer(fact, path, schema, parent):
    own = resolved(schema)
    if own["type"] != fact["type"]:
        yield f"it is of type {own['type']}"
    if own.get("format") != fact.get("format") and fact.get("format") != "iana-timezone":
        yield f"format: {own.get('format')}"
    if may_be_null(schema) and not fact["nullable"] and not NULL.search(path):
        yield "it may be null"
    known = own.get("enum") or ([own["const"]] if "const" in own else [])
    if "enum" in fact and set(known) != set(fact["enum"]):
        yield f"one of {known}"
    if fact.get("encoding") == "json-text" and "contentMediaType" not in own:
        yield "it is not a text that holds JSON"


def test_there_are_38_operations():
    assert len(OPERATIONS) == 38


def test_every_route_is_declared():
    assert set(methods_of(ROUTES)) == DECLARED.keys()


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_operation_is_described(operation_id):
    fact, found = OPERATIONS[operation_id], described(operation_id)
    assert (found["operationId"], found["tags"]) == (operation_id, [fact["tag"]])
    statuses = {*map(str, fact["statuses"]), "401", "403", "429"}
    assert statuses <= found["responses"].keys()
    if fact["contentType"]:
        assert fact["contentType"] in found["requestBody"]["content"]
        assert found["requestBody"]["required"] is fact["bodyRequired"]
    else:
        assert "requestBody" not in found
    assert ("content" in found["responses"][str(fact["status"])]) is (fact["status"] != 204)


OUR_PARAMETERS = {("query", "runId")}


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_parameters_are_described(operation_id):
    found = {(item["in"], item["name"]): item for item in described(operation_id)["parameters"]}
    facts = {(item["in"], item["name"]): item for item in OPERATIONS[operation_id]["parameters"]}
    assert found.keys() - OUR_PARAMETERS == facts.keys()
    for key, fact in facts.items():
        schema = found[key]["schema"]
        assert found[key]["required"] is (fact["required"] and key != IN_THE_FORM)
        assert {name: schema.get(name) for name in ("type", "format", "default")} == {
            name: fact.get(name) for name in ("type", "format", "default")
        }


@pytest.mark.parametrize("operation_id", with_facts("request"))
def test_body_is_described(operation_id):
    assert problems(operation_id, "request", in_a_body, body_of(operation_id)) == {}


@pytest.mark.parametrize("operation_id", with_facts("response"))
def test_answer_is_described(operation_id):
    assert problems(operation_id, "response", in_an_answer, answer_of(operation_id)) == {}
