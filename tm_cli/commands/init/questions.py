"""The answers of `tm init`: options, then questions, then defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tm_cli.cli.session import CommandContext
from tm_cli.errors import UsageError
from tm_cli.setup.answers import (
    Answers,
    Platform,
    check_whole,
    may_be_public,
    name_from,
    read_load,
    read_method,
    read_name,
    read_rate,
    read_seconds,
    read_server,
    read_target,
)
from tm_cli.values.text import sanitize
from tm_cli.values.urls import LOCAL
from tm_cli.values.verdict import GATED, parse_fail_on

RATE, DURATION = "20", "1m"
"""Enough requests for the judge to say something about p99."""

T = TypeVar("T")


def read_answers(session: CommandContext, flags: Mapping[str, Any], *, usual: Platform) -> Answers:
    """Return the answers: of the options, else of the user, else the defaults.

    Raises UsageError for an invalid value, and for a missing one where there is no terminal.
    """
    known = _known(flags)
    if not flags["yes"]:
        _ask(session, known, usual)
    if "url" not in known:
        raise UsageError("--url is missing", hint="--yes takes defaults, but not for the target")
    return _whole(
        {"rate": read_rate(RATE), "seconds": read_seconds(DURATION), "platform": usual} | known
    )


def _known(flags: Mapping[str, Any]) -> dict[str, Any]:
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
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
    missing = [
        flag
        for flag, field in (
            ("--url", "url"),
            ("--rate", "rate"),
            ("--duration", "seconds"),
            ("--ci", "platform"),
        )
        if field not in known
    ]
    if not missing:
        return
    if session.terminal.keyboard is None:
        raise UsageError(
            f"not a terminal; pass {', '.join(missing)}",
            hint="tm init --url http://localhost:8080/ --rate 20 --duration 1m --ci github; "
            "with --yes only --url is needed",
        )
    session.terminal.write_line("Press Enter to accept the default in brackets.")
    if "url" not in known:
        known["url"] = _answer(session, "URL to test:", read_target)
    _ask_load(session, known)
    if "platform" not in known:
        known["platform"] = _answer(
            session, f"Pipeline, github, gitlab, make or none [{usual}]:", _platform, usual
        )
    _ask_permission(session, known)


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
    known.setdefault("name", name_from(known["url"]))
    try:
        return check_whole(Answers(**known))
    except ValueError as error:
        raise UsageError(f"this cannot be set up: {error}") from None
