"""The answers of `tm init`: options, then questions, then defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tm_cli.cli.session import CommandContext
from tm_cli.errors import UsageError
from tm_cli.setup.answers import (
    Answers,
    Platform,
    System,
    check_whole,
    may_be_public,
    name_from,
    read_action,
    read_load,
    read_method,
    read_min_score,
    read_name,
    read_rate,
    read_seconds,
    read_server,
    read_subject,
    read_target,
)
from tm_cli.values.text import sanitize
from tm_cli.values.urls import LOCAL
from tm_cli.values.verdict import GATED, parse_fail_on

RATE, DURATION = "20", "1m"
"""Enough requests for the judge to say something about p99."""
MIN_SCORE = "85%"

T = TypeVar("T")


def read_answers(
    session: CommandContext, flags: Mapping[str, Any], *, usual: Platform, branch: str | None
) -> Answers:
    """Return the answers: of the options, else of the user, else the defaults.

    Raises UsageError for an invalid value, and for a missing one where there is no terminal.
    """
    known = _known(flags)
    if not flags["yes"]:
        _ask(session, known, usual)
    system = known.get("system", System.RUNS)
    _refuse_others(system, known)
    needed = "url" if system is System.RUNS else "subject"
    if needed not in known:
        what = "target" if needed == "url" else "benchmark or the job"
        raise UsageError(
            f"--{needed} is missing", hint=f"--yes takes defaults, but not for the {what}"
        )
    usually: dict[str, Any] = {"platform": usual, "branch": branch}
    match system:
        case System.RUNS:
            usually |= {"rate": read_rate(RATE), "seconds": read_seconds(DURATION)}
        case System.BENCHMARKS:
            usually["min_score"] = MIN_SCORE
    return _whole(usually | known)


def _refuse_others(system: System, known: Mapping[str, Any]) -> None:
    """Raise UsageError for an option that only another system has."""
    own = {
        System.RUNS: ("--url", "--rate", "--duration", "--name", "--method"),
        System.BENCHMARKS: ("--subject", "--min-score"),
        System.JOBS: ("--subject",),
    }
    fields = {"--duration": "seconds", "--min-score": "min_score"}
    for flag in {flag for flags in own.values() for flag in flags} - set(own[system]):
        if fields.get(flag, flag.removeprefix("--")) in known:
            raise UsageError(f"{flag} does not go with --system {system}")
    if system is not System.RUNS and (known.get("server") == LOCAL or known.get("public")):
        raise UsageError("the embedded server generates load tests only")


def _known(flags: Mapping[str, Any]) -> dict[str, Any]:
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "system": ("system", System),
        "subject": ("subject", read_subject),
        "min_score": ("min_score", read_min_score),
        "action": ("action", read_action),
        "url": ("url", read_target),
        "rate": ("rate", read_rate),
        "duration": ("seconds", read_seconds),
        "ci": ("platform", Platform),
        "name": ("name", read_name),
        "method": ("method", read_method),
        "fail_on": ("fail_on", _fail_on),
        "server": ("server", read_server),
    }
    known = {
        field: _read("--" + flag.replace("_", "-"), read, flags[flag])
        for flag, (field, read) in readers.items()
        if flags[flag] is not None
    }
    return known | ({"public": True} if flags["allow_public_targets"] else {})


def _ask(session: CommandContext, known: dict[str, Any], usual: Platform) -> None:
    """Put the answers of the user into `known`."""
    fields = {"--url": "url", "--rate": "rate", "--duration": "seconds"}
    if known.get("system", System.RUNS) is not System.RUNS:
        fields = {"--subject": "subject"}
    missing = [flag for flag, field in {**fields, "--ci": "platform"}.items() if field not in known]
    if not missing:
        return
    if session.terminal.keyboard is None:
        raise UsageError(
            f"not a terminal; pass {', '.join(missing)}",
            hint="tm init --url http://localhost:8080/ --rate 20 --duration 1m --ci github; "
            "with --yes only --url is needed",
        )
    session.terminal.write_line("Press Enter to accept the default in brackets.")
    if "url" not in known and "system" not in known:
        answer = _answer(session, "URL to test, or benchmarks or jobs:", _read_url_or_system)
        known["system" if isinstance(answer, System) else "url"] = answer
    if known.get("system", System.RUNS) is System.RUNS:
        if "url" not in known:
            known["url"] = _answer(session, "URL to test:", read_target)
        _ask_load(session, known)
    else:
        _ask_subject(session, known)
    if "platform" not in known:
        known["platform"] = _answer(
            session, f"Pipeline, github, gitlab, make or none [{usual}]:", _platform, usual
        )
    if "url" in known:
        _ask_permission(session, known)


def _read_url_or_system(text: str) -> str | System:
    word = text.strip().lower()
    return System(word) if word in {System.BENCHMARKS, System.JOBS} else read_target(text)


def _ask_subject(session: CommandContext, known: dict[str, Any]) -> None:
    is_benchmark = known["system"] is System.BENCHMARKS
    if "subject" not in known:
        question = "Benchmark id:" if is_benchmark else "Job id or slug:"
        known["subject"] = _answer(session, question, read_subject)
    if is_benchmark and "min_score" not in known:
        question = f"Lowest score that passes [{MIN_SCORE}]:"
        known["min_score"] = _answer(session, question, read_min_score, MIN_SCORE)


def _ask_load(session: CommandContext, known: dict[str, Any]) -> None:
    if "rate" not in known and "seconds" not in known:
        question = f"Requests per second and duration [{RATE} for {DURATION}]:"
        known["rate"], known["seconds"] = _answer(
            session, question, read_load, f"{RATE} for {DURATION}"
        )
    elif "rate" not in known:
        known["rate"] = _answer(session, f"Requests per second [{RATE}]:", read_rate, RATE)
    elif "seconds" not in known:
        known["seconds"] = _answer(
            session, f"Duration of a run [{DURATION}]:", read_seconds, DURATION
        )


def _ask_permission(session: CommandContext, known: dict[str, Any]) -> None:
    """Load on a public address needs an owner who allows it."""
    if (
        known.get("server", LOCAL) == LOCAL
        and may_be_public(known["url"])
        and "public" not in known
    ):
        question = "That may be a public address. Do you own it, and allow the load [no]:"
        known["public"] = _answer(session, question, _yes, "no")


def _answer(
    session: CommandContext, question: str, read: Callable[[str], T], default: str | None = None
) -> T:
    """Ask until the answer is valid; raises UsageError at the end of the input."""
    while (line := session.terminal.ask(question)) is not None:
        try:
            return read(line or default or "")
        except ValueError as error:
            session.terminal.write_line(f"  {sanitize(error)}")
    raise UsageError("nothing was entered, and nothing written")


def _platform(text: str) -> Platform:
    try:
        return Platform(text.strip().lower())
    except ValueError:
        raise ValueError("choose github, gitlab, make or none") from None


def _yes(text: str) -> bool:
    word = text.strip().lower()
    if word not in {"y", "yes", "n", "no"}:
        raise ValueError("answer yes or no")
    return word.startswith("y")


def _fail_on(text: str) -> str:
    verdicts = parse_fail_on(text)
    return ",".join(verdict for verdict in GATED if verdict in verdicts)


def _read(flag: str, read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"invalid {flag}: {error}") from None


def _whole(known: dict[str, Any]) -> Answers:
    known.setdefault("name", name_from(known["url"]) if "url" in known else known["subject"])
    try:
        return check_whole(Answers(**known))
    except ValueError as error:
        raise UsageError(f"this cannot be set up: {error}") from None
