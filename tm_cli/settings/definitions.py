"""Every setting: its name, how its text is read, its default, its meaning."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tm_cli.runtime.child_environment import RUNNER_CLASS
from tm_cli.runtime.signals import InterruptAction
from tm_cli.runtime.trusted_files import TRUSTED_OWNERS
from tm_cli.values.api_key import ApiKey
from tm_cli.values.durations import parse_duration
from tm_cli.values.thresholds import STRETCH_SECONDS
from tm_cli.values.urls import LOCAL, parse_base_url
from tm_cli.values.verdict import format_fail_on, parse_fail_on, parse_warn_on

TRAFFICMORPH = "trafficmorph"
RUNLOOP = "runloop"
STRAIT = "strait"
SYSTEMS = (TRAFFICMORPH, RUNLOOP, STRAIT)

ENDPOINT = ("base_url", "api_key", "api_key_file")
"""The settings that each system has; their flags mean the system of the command."""

OTHER_VARIABLES = frozenset(
    {"TM_CONFIG_DIR", "TM_STATE_DIR", "TM_MCP_CAPTURE_ROOT", TRUSTED_OWNERS, RUNNER_CLASS}
)
"""Variables of tm that are not settings."""

NO_CONTEXT = "none"
"""The name that chooses no context, whatever a file says."""

_COMMIT_ID = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_CONTEXT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Definition:
    """One setting: its name in files, how its text is read, and its default.

    `own_prefix` marks the settings of another system, whose variables are that system's; a
    `personal` setting must not stand in the project file. `flag_name` is the flag where it is not
    that name.
    """

    name: str
    read: Callable[[str], Any]
    default: Any
    help: str
    secret: bool = False
    personal: bool = False
    own_prefix: str = ""
    flag_name: str = ""

    @property
    def variable(self) -> str:
        return self.name.upper() if self.own_prefix else "TM_" + self.name.upper()

    @property
    def is_text(self) -> bool:
        """Whether every character counts: what looks like a number in a file may lose some."""
        return self.read in (_text, _checks, _commit, ApiKey, parse_context_name)

    @property
    def flag(self) -> str:
        return "--" + (self.flag_name or self.name.removeprefix(self.own_prefix)).replace("_", "-")


def setting_name(system: str, name: str) -> str:
    """Return what a setting of `ENDPOINT` is called for a system."""
    return name if system == TRAFFICMORPH else f"{system}_{name}"


def parse_context_name(text: str) -> str:
    """Return the name of a context; raises ValueError for what cannot be one."""
    name = text.strip()
    if not _CONTEXT_NAME.fullmatch(name):
        raise ValueError("a context name consists of letters, digits, dots, dashes and underscores")
    return name


def _positive(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError("must be longer than zero")
    return seconds


def _warmup(text: str) -> float:
    if (seconds := parse_duration(text)) % STRETCH_SECONDS:
        raise ValueError(f"invalid warm-up {text!r}: expected a multiple of {STRETCH_SECONDS}s")
    return seconds


def _poll_interval(text: str) -> float | None:
    """`auto` is None."""
    return None if text.strip().lower() == "auto" else _positive(text)


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        digits = text.strip().replace("_", "")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
            raise ValueError(f"invalid number {text!r}: expected a whole number")
        if not least <= (number := int(digits)) <= most:
            raise ValueError(f"{number} is not from {least} to {most}")
        return number

    return read


def _boolean(text: str) -> bool:
    match text.strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
    raise ValueError(f"invalid value {text!r}: expected true or false")


def _fail_on(text: str) -> str:
    """Verdicts in their usual order and spelling."""
    return format_fail_on(parse_fail_on(text))


def _warn_on(text: str) -> str:
    return format_fail_on(parse_warn_on(text))


def split_checks(text: str) -> list[str]:
    """Return the conditions in a list with commas or one in a line."""
    return [check.strip() for check in re.split(r"[,\n]", text) if check.strip()]


def _checks(text: str) -> str:
    """Conditions; what each of them means is known to the gate."""
    if not (found := split_checks(text)):
        raise ValueError("it names no condition; write e.g. p95<400ms")
    return ",".join(found)


def _on_interrupt(text: str) -> InterruptAction:
    try:
        return InterruptAction(text.strip().lower())
    except ValueError:
        raise ValueError(f"invalid action {text!r}: expected detach or stop") from None


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    if not text.isprintable() and any(char < " " or char == "\x7f" for char in text):
        raise ValueError("must not have control characters")
    return text.strip()


def _commit(text: str) -> str:
    if not _COMMIT_ID.fullmatch(found := text.strip().lower()):
        raise ValueError(f"invalid commit {text!r}: expected 7 to 64 hexadecimal digits")
    return found


def _remote_url(text: str) -> str:
    url = parse_base_url(text)
    if url == LOCAL:
        raise ValueError("the embedded server stands in for TrafficMorph only")
    return url


def _of_system(system: str, title: str, base_url: str) -> tuple[Definition, ...]:
    """What another system than TrafficMorph has of `ENDPOINT`."""
    own = f"{system}_"
    key, file = f"API key of {title}.", f"File with the API key of {title}."
    return (
        Definition(own + "base_url", _remote_url, base_url, f"URL of {title}.", own_prefix=own),
        Definition(own + "api_key", ApiKey, None, key, secret=True, personal=True, own_prefix=own),
        Definition(own + "api_key_file", _text, None, file, personal=True, own_prefix=own),
    )


def _of_serve(name: str, default: int | None, help_: str, *, least: int = 0) -> Definition:
    """A limit of the embedded server; a project must not permit what its user has limited."""
    most = {"max_profile_rps": 10_000}.get(name, 2**31 - 1)
    return Definition(name, _whole_number(least, most), default, help_, personal=True)


LIMITS_OF_SERVE = (
    _of_serve("max_rps", 0, "Requests per second of all runs of `tm serve`; 0: no limit."),
    _of_serve("max_profile_rps", 10_000, "Requests per second of one run of `tm serve`.", least=1),
    _of_serve("max_concurrent_runs", 4, "Runs of `tm serve` at the same time; 0: no limit."),
    _of_serve("max_profiles", 1000, "Profiles that `tm serve` keeps."),
    _of_serve("max_variables_sets", 100, "Variables sets that `tm serve` keeps."),
    _of_serve("max_request_bytes", 0, "Bytes of body and headers of a profile; 0: no limit."),
    _of_serve(
        "history_retention_days",
        None,
        "Days after which `tm serve` deletes runs from its history.",
        least=1,
    ),
    _of_serve("monthly_requests", 0, "Requests that `tm serve` sends in a month; 0: no limit."),
    _of_serve(
        "requests_per_minute",
        0,
        "API requests that `tm serve` answers in a minute; 0: no limit.",
    ),
)

DEFINITIONS = {
    definition.name: definition
    for definition in (
        Definition(
            "base_url",
            parse_base_url,
            None,
            "Server URL; `local` for the embedded server.",
        ),
        Definition("api_key", ApiKey, None, "API key.", secret=True, personal=True),
        Definition("api_key_file", _text, None, "File with the API key.", personal=True),
        Definition("context", parse_context_name, None, "Context of the user file to use."),
        *_of_system(RUNLOOP, "Runloop", "https://api.runloop.ai/"),
        *_of_system(STRAIT, "Strait", "https://api.strait.dev/"),
        Definition(
            "strait_project",
            _text,
            None,
            "Project on Strait, where the key does not determine it.",
            flag_name="project",
        ),
        Definition("timeout", _positive, 30.0, "Request timeout."),
        Definition(
            "wait_timeout", _positive, 1800.0, "Maximum time to wait for the run to finish."
        ),
        Definition(
            "verdict_timeout",
            parse_duration,
            60.0,
            "Maximum time to wait for the verdict after the run.",
        ),
        Definition(
            "wait_for_target",
            parse_duration,
            None,
            "Maximum time to wait until the target answers, before the load is sent.",
        ),
        Definition(
            "warmup",
            _warmup,
            None,
            "First seconds of the run, which are sent but not judged, instead of the profile's.",
        ),
        Definition(
            "stop_early",
            _boolean,
            None,
            "End a run as soon as its verdict is known; without a value, an A/B run does.",
        ),
        Definition(
            "poll_interval",
            _poll_interval,
            None,
            "Polling interval; `auto` adapts to the run.",
        ),
        Definition("fail_on", _fail_on, None, "Verdicts that fail the gate."),
        Definition("assert", _checks, None, "Conditions that every run of `tm runs` must meet."),
        Definition("abort_if", _checks, None, "Limits that end a run of `tm runs`."),
        Definition("warn_on", _warn_on, None, "Verdicts that pass with a warning."),
        Definition(
            "on_interrupt",
            _on_interrupt,
            None,
            "What happens to the run on Ctrl-C: `detach` leaves it running, `stop` stops it.",
        ),
        Definition("region", _text, None, "Region that generates the load."),
        Definition("commit", _commit, None, "Commit under test, a tag of the run."),
        Definition("github_summary", _boolean, True, "Write a step summary in GitHub Actions."),
        Definition("github_annotations", _boolean, True, "Write annotations in GitHub Actions."),
        Definition("data_dir", _text, None, "Directory of the embedded server."),
        Definition(
            "ca_file",
            _text,
            None,
            "Certificates (PEM) to trust instead of the system's.",
            personal=True,
        ),
        Definition(
            "allow_insecure_http",
            _boolean,
            False,
            "Allow plain HTTP to other hosts than this machine.",
            personal=True,
        ),
        Definition(
            "allow_public_targets",
            _boolean,
            False,
            "Allow the embedded server to send load to public addresses.",
            personal=True,
        ),
        Definition(
            "require_verified_domains",
            _boolean,
            False,
            "Let the embedded server send load only to verified domains and to its own machine.",
            personal=True,
        ),
        Definition(
            "capture_sources",
            _text,
            None,
            "File with the capture sources of the embedded server.",
            personal=True,
        ),
        *LIMITS_OF_SERVE,
    )
}
