"""Request bodies: bounded bytes, strict JSON, then a model; else an error response."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from tm_cli.server.validation import problems
from tm_cli.values.load.placeholders import hide_values


class Refusal(Exception):
    """Ends a request with `status` and the error envelope; 400 by default.

    `details` are further fields of the envelope.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.headers = headers
        self.details = details or {}

    def hiding(self, values: Mapping[str, str]) -> Refusal:
        """Return the same without values that are shown nowhere."""
        message = hide_values(self.message, values)
        return Refusal(
            message,
            status=self.status,
            code=self.code,
            headers=self.headers,
            details=self.details,
        )

    @property
    def envelope(self) -> dict[str, object]:
        """The body of the answer, in characters that can be sent."""
        message = self.message.encode("utf-8", "backslashreplace").decode()
        code = {} if self.code is None else {"code": self.code}
        return {"error": message, **code, **self.details}


MAX_BYTES = 1024 * 1024
MAX_PROFILE_BYTES = 16 * 1024 * 1024
"""A profile may have data; what is no ASCII takes up to six times its length in JSON."""
MAX_DEPTH = 64

Model = TypeVar("Model", bound=BaseModel)


async def read_model(request: Request, model: type[Model], *, most: int = MAX_BYTES) -> Model:
    return validated(model, await read_json(request, most=most))


async def read_json(request: Request, *, most: int = MAX_BYTES) -> Any:
    """Read the body, which must be there, as JSON; raises `Refusal`."""
    body = await read_bytes(request, most=most)
    if not body:
        raise Refusal("The request has no body")
    return parse_json(request, body)


def parse_json(request: Request, body: bytes) -> Any:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Refusal("The body must be sent as application/json")
    return strict_json(body)


async def read_bytes(request: Request, *, most: int = MAX_BYTES) -> bytes:
    """Read the whole body, or refuse it once it is longer than the server takes."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise Refusal(f"The body is longer than {most} bytes", status=413)
            chunks.append(chunk)
    except ClientDisconnect:
        raise Refusal("The body is incomplete: its client has gone") from None
    return b"".join(chunks)


def validated(model: type[Model], data: Any) -> Model:
    """Validate parsed JSON as `model`; raises `Refusal` with the first error."""
    try:
        # Through text, because strict models judge JSON and Python values by different rules.
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise Refusal(explain(error)) from error


def explain(error: ValidationError) -> str:
    """The first error, as `field: message`."""
    field, text = problems(error)[0]
    return f"{field}: {text}" if field else text


def strict_json(body: bytes) -> Any:
    """Parse JSON in which every key, number and character means one thing."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_constant=_finite,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate fails here
    except (ValueError, RecursionError) as error:
        raise Refusal("The body is not valid JSON") from error
    _require_shallow(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _require_shallow(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise Refusal(f"The body is nested deeper than {MAX_DEPTH} levels")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
