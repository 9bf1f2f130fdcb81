"""Reads OpenAPI 3 documents: an operation is a step, with the examples or values of its schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tm_cli.sources.privacy import (
    clean_body,
    clean_headers,
    clean_pairs,
    placeholder,
    without_markers,
)
from tm_cli.sources.traffic import SourceRequest, Traffic, UnusableSource, is_http_url, read_json
from tm_cli.values.documents import InvalidDocument, parse_yaml

_SAFE = ("get", "head", "options")
_UNSAFE = ("post", "put", "patch", "delete")
_FORM = "application/x-www-form-urlencoded"
_DEEPEST = 12
"""Levels of a schema that are filled in; one may contain itself."""
_MOST_VALUES = 200
"""Values of one body: schemas that use others several times multiply."""
_BY_FORMAT = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "uuid": "3f2b1c5e-8d1a-4c7e-9b7a-2f6d0e4a1b9c",
    "email": "user@example.com",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "byte": "ZXhhbXBsZQ==",
}


def read_openapi(
    text: str, *, operations: Collection[str] = (), include_unsafe: bool = False
) -> Traffic:
    """Read the operations, or the chosen ones: an `operationId`, or `GET /path`.

    Without `include_unsafe` those that could change something are left out, unless they are chosen.
    Raises UnusableSource.
    """
    document = _document(text)
    found = list(_operations(document))
    chosen = [each for each in found if not operations or each.names & set(operations)]
    if unknown := [name for name in operations if not any(name in each.names for each in found)]:
        known = ", ".join(each.title for each in found[:8])
        raise UnusableSource(f"it has no operation {unknown[0]!r}; it has {known or 'none'}")
    wanted = [each for each in chosen if operations or include_unsafe or each.method in _SAFE]
    if not wanted:
        raise UnusableSource(
            "it has no operation that only reads; --include-unsafe or --operation NAME takes others"
            if chosen
            else "it has no operations"
        )
    left_out = len(chosen) - len(wanted)
    bodiless = sum(each.lacks_body for each in wanted)
    counts = {
        f"left out: {left_out} that could change something (--include-unsafe)": left_out,
        f"without a body that is neither JSON nor a form: {bodiless}": bodiless,
    }
    columns = dict.fromkeys(name for each in wanted for name in each.parameters)
    server = _server(document)
    base = urlsplit(server).path.rstrip("/")
    return Traffic(
        [each.request(base) for each in wanted],
        SourceRequest("GET", server).origin,
        columns=tuple(columns),
        notes=[note for note, count in counts.items() if count],
    )


def _document(text: str) -> Mapping[str, Any]:
    try:
        document = (
            read_json(text) if text.lstrip().startswith("{") else parse_yaml(text, foreign=True)
        )
    except (InvalidDocument, ValueError, RecursionError) as problem:
        raise UnusableSource(f"it is neither JSON nor YAML: {problem}") from None
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        version = isinstance(document, dict) and document.get("swagger")
        hint = " (Swagger 2.0: convert it first)" if version else ""
        raise UnusableSource(f"it is not an OpenAPI 3 document{hint}")
    return document


def _server(document: Mapping[str, Any]) -> str:
    """The first server's URL, with the defaults of its variables; perhaps a path alone."""
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    if not isinstance(first, dict) or not isinstance(first.get("url"), str):
        return ""
    url = str(first["url"])
    variables = first.get("variables")
    for name, variable in (variables if isinstance(variables, dict) else {}).items():
        if isinstance(variable, dict):
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    if "${" in url or not (is_http_url(url) or re.match(r"/(?!/)", url)):
        return ""
    return url


class _Operation:
    """One operation; `parameters` are the names of its required path parameters."""

    def __init__(
        self, document: Mapping[str, Any], path: str, method: str, own: Mapping[str, Any],
        shared: list[Any],
    ) -> None:  # fmt: skip
        self._document = document
        self._own = own
        self.method = method
        self.title = f"{method.upper()} {path}"
        self.names = {self.title, str(own.get("operationId") or self.title)}
        listed = own.get("parameters")
        everything = [*shared, *(listed if isinstance(listed, list) else [])]
        resolved = [_resolved(document, each) for each in everything]
        named = {(str(each.get("in")), str(each.get("name"))): each for each in resolved}
        self._parameters = named.values()
        self.parameters = [
            _macro(each["name"])
            for each in self._parameters
            if each.get("in") == "path" and isinstance(each.get("name"), str)
            and _example(document, each) is None
        ]  # fmt: skip
        self._path = path

    def request(self, base: str) -> SourceRequest:
        """The request; `base` is the path of the server."""
        headers = {**clean_headers(self._headers()), **self._security()}
        kind, body = self._body()
        if kind:
            headers["Content-Type"] = kind
        url = "/" + (without_markers(base) + self._filled_path()).lstrip("/")
        if pairs := [*self._query(), *self._keys_in_query()]:
            url += f"?{'&'.join(pairs)}"
        name = without_markers(self.title)[:100]
        return SourceRequest(self.method.upper(), url, headers, body, name=name)

    def _filled_path(self) -> str:
        path = without_markers("/" + self._path.removeprefix("/"))
        path = quote(path, safe="/%{}:@!$&'()*+,;=~")
        for each in self._parameters:
            if each.get("in") == "path" and isinstance(each.get("name"), str):
                example = _example(self._document, each)
                value = f"$${_macro(each['name'])}$$" if example is None else _in_url(example)
                path = path.replace(f"{{{quote(each['name'])}}}", value)
        return path

    def _query(self) -> list[str]:
        return [
            clean_pairs(f"{_in_url(each['name'])}={_in_url(_value(self._document, each))}")
            for each in self._parameters
            if each.get("in") == "query" and each.get("required") is True and each.get("name")
        ]

    def _keys_in_query(self) -> list[str]:
        return [
            f"{_in_url(name)}={placeholder(name)}"
            for scheme in self._schemes()
            if scheme.get("type") == "apiKey" and scheme.get("in") == "query"
            for name in [str(scheme.get("name"))]
        ]

    def _headers(self) -> dict[str, str]:
        return {
            str(each["name"]): str(_value(self._document, each))
            for each in self._parameters
            if each.get("in") == "header" and each.get("required") is True and each.get("name")
        }

    def _schemes(self) -> Iterator[Mapping[str, Any]]:
        """The schemes of the first way to be authorised."""
        required = self._own.get("security", self._document.get("security"))
        first = required[0] if isinstance(required, list) and required else None
        components = self._document.get("components")
        schemes = components.get("securitySchemes") if isinstance(components, dict) else None
        for name in first if isinstance(first, dict) else ():
            listed = schemes if isinstance(schemes, dict) else {}
            yield _resolved(self._document, listed.get(name))

    def _security(self) -> dict[str, str]:
        """The headers of the schemes; their values are placeholders."""
        found: dict[str, str] = {}
        for scheme in self._schemes():
            if scheme.get("type") == "apiKey" and scheme.get("in") == "header":
                header = str(scheme.get("name"))
                found[header] = placeholder(header)
            elif scheme.get("type") == "http" and str(scheme.get("scheme")).lower() == "basic":
                found["Authorization"] = f"Basic {placeholder('BASIC_CREDENTIALS')}"
            elif scheme.get("type") in ("http", "oauth2", "openIdConnect"):
                found["Authorization"] = f"Bearer {placeholder('TOKEN')}"
        return found

    def _body(self) -> tuple[str, str | None]:
        """Content type and content; nothing where it is neither JSON nor a form."""
        content = _resolved(self._document, self._own.get("requestBody")).get("content")
        for kind, media in content.items() if isinstance(content, dict) else ():
            is_form = str(kind).startswith(_FORM)
            if not is_form and not re.match(r"[\w.-]+/([\w.-]+\+)?json", str(kind)):
                continue
            value = _value(self._document, media if isinstance(media, dict) else {})
            if not is_form:
                return str(kind), clean_body(json.dumps(value, ensure_ascii=False, default=str))
            pairs = value.items() if isinstance(value, dict) else ()
            return _FORM, clean_pairs("&".join(f"{_in_url(k)}={_in_url(v)}" for k, v in pairs))
        return "", None

    @property
    def lacks_body(self) -> bool:
        return self._own.get("requestBody") is not None and not self._body()[0]


def _operations(document: Mapping[str, Any]) -> Iterator[_Operation]:
    paths = document.get("paths")
    for path, item in (paths if isinstance(paths, dict) else {}).items():
        item = _resolved(document, item)
        shared = item.get("parameters")
        for method in (*_SAFE, *_UNSAFE):
            own = item.get(method)
            if isinstance(own, dict):
                listed = shared if isinstance(shared, list) else []
                yield _Operation(document, str(path), method, own, listed)


def _macro(name: str) -> str:
    return re.sub(r"[\s${}/?#=]+", "_", name)


def _in_url(value: Any) -> str:
    return quote(value if isinstance(value, str) else json.dumps(value, default=str), safe="")


def _resolved(document: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """The mapping, or the one that its `$ref` leads to inside the document; else an empty one."""
    for _ in range(_DEEPEST):
        if not isinstance(value, dict):
            return {}
        ref = value.get("$ref")
        if not isinstance(ref, str):
            return value
        if not ref.startswith("#/"):
            raise UnusableSource(f"it refers to another file, {ref!r}; bundle it into one first")
        value = document
        for part in unquote(ref[2:]).split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, list):
                value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
            else:
                value = value.get(name) if isinstance(value, dict) else None
    raise UnusableSource("a $ref leads to itself")


def _example(document: Mapping[str, Any], holder: Mapping[str, Any]) -> Any:
    """The example of a parameter, a media type or a schema; None if it has none."""
    if holder.get("example") is not None:
        return holder["example"]
    examples = holder.get("examples")
    if isinstance(examples, list) and examples:
        return examples[0]
    if isinstance(examples, dict) and examples:
        return _resolved(document, next(iter(examples.values()))).get("value")
    if "schema" in holder:
        schema = _resolved(document, holder["schema"])
        found = _example(document, schema)
        return schema.get("default") if found is None else found
    return None


def _value(document: Mapping[str, Any], holder: Mapping[str, Any]) -> Any:
    example = _example(document, holder)
    if example is not None:
        return example
    return _made(document, holder.get("schema"), 0, iter(range(_MOST_VALUES)))


def _made(document: Mapping[str, Any], schema: Any, depth: int, left: Iterator[int]) -> Any:
    """A value that fits the schema, as far as that is simple.

    `left` has an item for each value that may still be made.
    """
    schema = _resolved(document, schema)
    example = _example(document, schema)
    if example is not None:
        return example
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    if depth >= _DEEPEST or next(left, None) is None:
        return None
    for key in ("oneOf", "anyOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return _made(document, schema[key][0], depth + 1, left)
    return _of_type(document, schema, depth, left)


def _of_type(
    document: Mapping[str, Any], schema: Mapping[str, Any], depth: int, left: Iterator[int]
) -> Any:
    parts = schema.get("allOf")
    kind = schema.get("type")
    kind = next((each for each in kind if each != "null"), None) if isinstance(kind, list) else kind
    properties = schema.get("properties")
    if isinstance(parts, list) or isinstance(properties, dict) or kind == "object":
        made: dict[str, Any] = {}
        for part in parts if isinstance(parts, list) else ():
            value = _made(document, part, depth + 1, left)
            made |= value if isinstance(value, dict) else {}
        required = schema.get("required")
        names = required if isinstance(required, list) else list(properties or ())
        for name, inner in (properties if isinstance(properties, dict) else {}).items():
            if name in names:
                made[name] = _made(document, inner, depth + 1, left)
        return made
    if kind == "array":
        return [_made(document, schema.get("items"), depth + 1, left)]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    return _BY_FORMAT.get(str(schema.get("format")), "x" * max(int(_least(schema)), 1))


def _least(schema: Mapping[str, Any]) -> float:
    least = schema.get("minLength", 1)
    return min(least, 1000) if isinstance(least, int | float) else 1
