"""Which settings are in effect, and whether they can be used; nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.ci_platform import UNKNOWN, ci_platform
from tm_cli.runtime.terminal import Terminal
from tm_cli.settings import (
    DEFINITIONS,
    SYSTEMS,
    TRAFFICMORPH,
    Endpoint,
    MissingKey,
    Settings,
    Source,
)
from tm_cli.values.check_result import CheckResult, ok, problem, problem_from, skipped, warning
from tm_cli.values.urls import LOCAL


@dataclass(frozen=True, slots=True)
class Target:
    """The server that a gate would use: its address, `local`, or None where that is not known.

    `is_usable` says that a key for it was found.
    """

    base_url: str | None
    is_usable: bool = False


def configured_systems(load_settings: Callable[[], Settings]) -> tuple[str, ...]:
    """Return the systems for which a server or a key is set; TrafficMorph where none is."""
    try:
        settings = load_settings()
        found = tuple(name for name in SYSTEMS if _is_configured(settings.endpoint(name)))
    except TmError:
        found = ()
    return found or (TRAFFICMORPH,)


def _is_configured(endpoint: Endpoint) -> bool:
    """Whether anything is set for this system, usable or not."""
    try:
        is_default = endpoint.address.origin.source is Source.DEFAULT
        return not is_default or bool(endpoint.credential)
    except MissingKey:
        return False
    except TmError:
        return True


def check_settings(settings: Settings) -> Iterator[CheckResult]:
    """Read every setting, check for files and variables that are not used."""
    try:
        found = [settings[name] for name in DEFINITIONS]
    except TmError as error:
        yield problem_from("settings", error)
    else:
        origins = dict.fromkeys(str(item.origin) for item in found)
        named = [origin for origin in origins if origin != "default"]
        yield ok("settings", f"from {', '.join(named)}" if named else "all by default")
    for source in settings.ignored:
        yield problem("settings", source.message, source.hint, ExitCode.CONFIGURATION)


def check_endpoint(
    endpoint: Endpoint, environ: Mapping[str, str]
) -> tuple[list[CheckResult], Target]:
    """Find the server and the key for it."""
    try:
        address = endpoint.address
    except TmError as error:
        return [
            problem_from("server", error),
            skipped("API key", "the server is not known"),
        ], _UNKNOWN
    if address.value in (None, LOCAL):
        return _local(address.value, environ)
    server = ok("server", f"{address.value} ({address.origin})", origin=str(address.origin))
    try:
        credential = endpoint.credential
    except TmError as error:
        return [server, problem_from("API key", error)], Target(address.value)
    origin = str(credential.origin)
    key = ok("API key", f"found ({origin})", origin=origin)
    if credential.warning:
        text, _, fix = credential.warning.partition("; ")
        key = warning("API key", f"found ({origin}), but {text}", fix, origin=origin)
    return [server, key], Target(address.value, is_usable=True)


_UNKNOWN = Target(None)


def _local(value: str | None, environ: Mapping[str, str]) -> tuple[list[CheckResult], Target]:
    key = skipped("API key", "the embedded server makes its own")
    if value == LOCAL:
        return [ok("server", "the embedded one, as asked for"), key], Target(LOCAL)
    if (platform := ci_platform(environ)) is None:
        return [ok("server", "none is configured: tm uses the embedded one"), key], Target(LOCAL)
    hint = "set TM_BASE_URL and TM_API_KEY, or TM_BASE_URL=local for the embedded server"
    where = "CI is set" if platform == UNKNOWN else f"this is a job of {platform}"
    found = problem("server", f"none is configured, and {where}", hint, ExitCode.CONFIGURATION)
    return [found, skipped("API key", "the server is not known")], _UNKNOWN


NATIVE = {
    "GitHub Actions": "outputs, summary and annotations of the step are written",
    "GitLab CI": "progress is a section of the log; give --report junit=FILE to the job's reports",
}

_BEHAVIOR = (
    "progress in plain lines, no embedded server unless asked for, "
    "an interrupted gate stops its run"
)


def check_platform(environ: Mapping[str, str]) -> CheckResult:
    """Name the platform and what tm does there."""
    name = ci_platform(environ)
    if name is None:
        return skipped("CI", "this is not a pipeline")
    kind = "CI is set" if name == UNKNOWN else name
    native = NATIVE.get(name, "give --report junit=FILE to the platform")
    return ok("CI", f"{kind}: {_BEHAVIOR}; {native}", platform=name)


def check_terminal(terminal: Terminal) -> CheckResult:
    """Describe the streams; with `tm doctor > file` the results are not on a terminal."""
    encoding = getattr(terminal.out, "encoding", None) or "unknown"
    words = [
        "results on a terminal" if terminal.out_is_terminal else "results into a pipe or file",
        "progress is redrawn" if terminal.live else "progress line by line",
        f"{terminal.width} columns",
        "colour" if terminal.out_color or terminal.err_color else "no colour",
        encoding,
    ]
    facts = {"encoding": encoding, "width": terminal.width, "live": terminal.live}
    if _speaks_utf8(encoding):
        return ok("terminal", ", ".join(words), **facts)
    fix = "set PYTHONUTF8=1, or a UTF-8 locale: charts and bars come out as escapes"
    return warning("terminal", ", ".join(words), fix, **facts)


def _speaks_utf8(encoding: str) -> bool:
    return encoding == "unknown" or encoding.lower().replace("-", "").startswith("utf")
