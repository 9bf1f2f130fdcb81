"""Whether an answer of the server is what its OpenAPI document says."""

import re
from functools import cache

from pydantic import TypeAdapter

from tm_cli.server.openapi.document import PREFIX, refusals_of
from tm_cli.server.openapi.operations import OPERATIONS
from tm_cli.server.openapi.resources import ErrorEnvelope, UsageLimitError

PATHS = {path for _, path in OPERATIONS}
ENVELOPE, USED_UP = TypeAdapter(ErrorEnvelope), TypeAdapter(UsageLimitError)


def check(response):
    """Raise AssertionError unless an answer conforms; a hook of the tests' HTTP client."""
    path = response.request.url.path
    if not path.startswith(PREFIX + "/") or response.request.method == "HEAD":
        return
    response.read()
    operation = operation_of(response.request.method, path.removeprefix(PREFIX))
    asked = f"{response.request.method} {path}: {response.status_code} {response.text[:500]}"
    if response.status_code >= 400:
        expected = refusals_of(operation) if operation else [401, 403, 404, 405]
        assert response.status_code in [*expected, 421], asked
        validate(USED_UP if response.status_code == 409 else ENVELOPE, response, asked)
        return
    assert operation is not None, f"{asked} is not described"
    assert response.status_code == operation.status, asked
    if operation.answer is None:
        assert response.content == b"", asked
    else:
        validate(adapter(operation.id), response, asked)


def validate(kind, response, asked):
    assert response.headers["content-type"] == "application/json", asked
    try:
        kind.validate_json(response.content, strict=True)
    except ValueError as error:
        raise AssertionError(f"{asked}: {error}") from error


@cache
def adapter(operation_id):
    [operation] = [item for item in OPERATIONS.values() if item.id == operation_id]
    return TypeAdapter(operation.answer)


@cache
def patterns():
    """A pattern for each path; fixed ones come before those with an id."""
    ordered = sorted(PATHS, key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in ordered]


def operation_of(method, path):
    found = next((known for pattern, known in patterns() if pattern.fullmatch(path)), None)
    return OPERATIONS.get((method, found))
