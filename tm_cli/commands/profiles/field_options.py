"""What `tm profiles create` and `update` take of a profile as options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tm_cli.cli.session import CommandContext
from tm_cli.errors import ConfigurationError, UsageError

LONGEST_FILE = 1_000_000

_Text = str | None


def _option(flag: str, metavar: str, text: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text)


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """A bundle: the values of a profile. An empty text clears one."""

    target: Annotated[_Text, _option("--target", "URL", "Target of the requests.")] = None
    method: Annotated[_Text, _option("--method", "METHOD", "HTTP method.")] = None
    rate: Annotated[
        _Text, _option("--rate", "RATE", "Requests per second, for the whole duration.")
    ] = None
    duration: Annotated[_Text, _option("--duration", "DURATION", "Duration of a run.")] = None
    points: Annotated[
        _Text, _option("--points", "CURVE", 'The curve, "0s:10,30s:60,1m:10": time:rate.')
    ] = None
    interpolation: Annotated[
        _Text, _option("--interpolation", "MODE", "Between the points: LINEAR or SPLINE.")
    ] = None
    loop: Annotated[
        bool | None,
        typer.Option(
            "--loop/--no-loop", show_default=False, help="Repeat the curve until stopped."
        ),
    ] = None
    header: Annotated[
        list[str] | None,
        _option("--header", "NAME:VALUE", "Header to set; NAME: removes it. Repeatable."),
    ] = None
    body: Annotated[
        _Text, _option("--body", "TEXT|@FILE", "Body of each request, or the file with it.")
    ] = None
    region: Annotated[
        _Text, _option("--region", "REGION", "Region of its runs, as far as a start names none.")
    ] = None
    variables_set: Annotated[
        list[str] | None,
        _option("--variables-set", "ID|NAME", "Variables set to attach; none detaches all."),
    ] = None
    response_script: Annotated[
        _Text, _option("--response-script", "FILE", "JavaScript that runs on each response.")
    ] = None
    init_script: Annotated[
        _Text, _option("--init-script", "FILE", "JavaScript that runs before the load.")
    ] = None
    cleanup_script: Annotated[
        _Text, _option("--cleanup-script", "FILE", "JavaScript that runs after the run.")
    ] = None
    callback_url: Annotated[
        _Text, _option("--callback-url", "URL", "Where the end of a run is reported.")
    ] = None
    readiness_url: Annotated[
        _Text, _option("--readiness-url", "URL", "What must answer before the load is sent.")
    ] = None
    set: Annotated[
        list[str] | None,
        _option("--set", "KEY=VALUE", "Any other key of a document, in YAML. Repeatable."),
    ] = None

    def read(self, session: CommandContext) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what is asked for: as a part of a document, and what only the API has.

        A null resets a value. What depends on the rest of the profile is missing: `rate`,
        `header` and `variables_set`. Raises UsageError, which names the option.
        """
        if self.rate is not None and self.points is not None:
            raise UsageError("--rate and --points exclude each other")
        document = dict(self._of_document(session)) | dict(_read_set(self.set or ()))
        scripts = {"initScript": self.init_script, "cleanupScript": self.cleanup_script}
        further = {key: _script(session, file) for key, file in scripts.items() if file is not None}
        if self.region is not None:
            further["region"] = _region(self.region)
        return document, further

    def _of_document(self, session: CommandContext) -> Iterator[tuple[str, Any]]:
        simple = {
            "--target": ("endpointUrl", self.target),
            "--method": ("httpMethod", self.method),
            "--duration": ("duration", self.duration),
            "--interpolation": ("interpolationMode", self.interpolation),
            "--loop": ("loop", self.loop),
            "--points": ("points", None if self.points is None else _points(self.points)),
            "--body": ("requestPayload", _body(session, self.body)),
            "--response-script": ("responseScript", _script(session, self.response_script)),
            "--callback-url": ("callbackUrl", self.callback_url),
            "--readiness-url": ("readinessUrl", self.readiness_url),
        }
        for flag, (key, value) in simple.items():
            if value is not None:
                yield key, _read(flag, key, value)

    def is_empty(self) -> bool:
        """Whether no option was given."""
        return all(getattr(self, name) is None for name in self.__slots__)


def _read(flag: str, key: str, value: Any) -> Any:
    from tm_cli.backends.trafficmorph.profile_documents import REQUIRED, portable
    from tm_cli.values.documents import InvalidDocument

    try:
        return portable({key: value}, optional=REQUIRED)[key]
    except InvalidDocument as problem:
        said = str(problem).removeprefix(key)
        inside = said[:1] in (".", "[")
        raise UsageError(f"{flag}{said}" if inside else f"{flag}: {said.strip()}") from None


def _read_set(texts: Sequence[str]) -> Iterator[tuple[str, Any]]:
    from tm_cli.backends.trafficmorph.profile_documents import ALIASES, AS_TEXT, REQUIRED
    from tm_cli.backends.trafficmorph.profile_fields import ONLY_IN_API
    from tm_cli.values.documents import InvalidDocument, parse_yaml

    for text in texts:
        key, sign, written = text.partition("=")
        key = key.strip()
        if not sign or not key:
            raise UsageError(f"--set: {text!r} is not KEY=VALUE, such as warmup=10s")
        if key in ONLY_IN_API:
            raise UsageError(f"--set {key}: no document has it; it has an option of its own")
        as_text = [path[1:] for path in AS_TEXT if path[0] == key and path[1:]]
        is_text = (key,) in AS_TEXT
        try:
            value = written if is_text else parse_yaml(written, as_text=as_text)
        except InvalidDocument as problem:
            raise UsageError(f"--set {key}: {problem}") from None
        if value is None and key in (*REQUIRED, "schedule"):
            raise UsageError(f"--set {key}: it cannot be empty")
        yield ALIASES.get(key, key), value if value is None else _read(f"--set {key}", key, value)


def _points(text: str) -> list[list[float]]:
    from tm_cli.values.durations import parse_duration

    found = []
    for item in text.split(","):
        second, sign, rate = item.partition(":")
        try:
            found.append([parse_duration(second), float(rate)])
        except ValueError:
            sign = ""
        if not sign:
            raise UsageError(
                f"--points: {item.strip()!r} is not TIME:RATE",
                hint='write for example --points "0s:10,30s:60,1m:10"',
            )
    return found


def _body(session: CommandContext, text: str | None) -> str | None:
    if text is None or not text.startswith("@"):
        return text
    return _file(session, "--body", text[1:])


def _script(session: CommandContext, file: str | None) -> str | None:
    from tm_cli.backends.trafficmorph.profile_values import LONGEST_SCRIPT

    if not file:
        return file
    text = _file(session, "a script", file)
    if len(text) > LONGEST_SCRIPT:
        raise ConfigurationError(f"{file} is longer than {LONGEST_SCRIPT} characters")
    return text


def _file(session: CommandContext, what: str, file: str) -> str:
    path: Path = session.context.cwd / file
    try:
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"cannot read {file} for {what}: it is not a file")
        with path.open("rb") as opened:
            data = opened.read(LONGEST_FILE * 4 + 1)
        text = data.decode("utf-8-sig")
    except OSError as problem:
        raise ConfigurationError(f"cannot read {file} for {what}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text") from None
    except ValueError:
        raise UsageError(f"cannot read {file!r} for {what}: it is no file name") from None
    if len(text) > LONGEST_FILE:
        raise ConfigurationError(f"{file} is longer than {LONGEST_FILE} characters")
    return text


def _region(text: str) -> str:
    if len(text) > 30:
        raise UsageError("--region: it is longer than 30 characters")
    return text


def merged_headers(stored: Any, flags: Sequence[str]) -> str:
    """Return headers as the API has them: those of the profile, and those of --header.

    A name replaces all headers of that name; without a value it removes them.
    """
    items = _stored_headers(stored)
    for flag in flags:
        name, sign, value = flag.partition(":")
        name = name.strip()
        if not sign or not name:
            raise UsageError(f"--header: {name[:40]!r} is not NAME:VALUE")
        items = [item for item in items if str(item.get("name")).lower() != name.lower()]
        if value.strip():
            items.append({"name": name, "value": value.strip()})
    return str(_read("--header", "requestHeaders", items)) if items else ""


def _stored_headers(stored: Any) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(stored) if isinstance(stored, str) and stored else []
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise ConfigurationError(
            "the headers of the profile cannot be read, so that none can be added",
            hint="--set requestHeaders='{NAME: VALUE}' replaces all of them",
        )
    return found
