"""Reads the flags and variables of gates in pipelines as tm itself would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from tm_cli.commands.reports import Format
from tm_cli.errors import TmError
from tm_cli.gate.checks import parse_check
from tm_cli.gate.verdict import Verdict, parse_fail_on
from tm_cli.scaffold.calls import Call, is_open
from tm_cli.settings import DEFINITIONS, Settings
from tm_cli.text import clean

_VERDICTS = ("--fail-on", "--fail-on-verdict")
_OF_ACTION = ("wait-timeout", "verdict-timeout", "poll-interval", "timeout", "on-interrupt")


def complaint(tree: Any, call: Call) -> str | None:
    """Say why the program would not take the command line; None when it would."""
    if call.is_make:
        return None
    try:
        node, rest = leaf(tree, call.words)
        if call.is_open or {"-h", "--help", "--version"} & set(call.words):
            return _unknown_flag(node, rest)
        node.make_context("tm", list(rest), obj=None)
    except typer.TyperException as problem:
        return problem.format_message()
    except KeyError as problem:
        return f"there is no command {problem}"
    return None


def leaf(tree: Any, words: tuple[str, ...]) -> tuple[Any, list[str]]:
    """Return the command that the words name, and the rest of them; KeyError for an unknown one."""
    call = Call(words)
    node, rest = tree, list(call.path)
    leading = list(words[: len(words) - len(rest)])
    while hasattr(node, "commands") and rest and not rest[0].startswith("-"):
        node = node.commands[rest.pop(0)]
    return node, leading + rest


def _unknown_flag(node: Any, words: list[str]) -> str | None:
    known = {"-h", "--help"}
    for option in node.params:
        known |= {*option.opts, *option.secondary_opts}
    given = (word.partition("=")[0] for word in words if word.startswith("--"))
    return next((f"there is no option {flag}" for flag in given if flag not in known), None)


def action_call(inputs: Mapping[str, str], *, usual: str) -> Call:
    """Return the command that the GitHub action runs, as far as its values matter here.

    `usual` are the verdicts that it adds where its input names none, "" for none.
    """
    words = ["runs", "start", "--wait"]
    words += [f"--{name}={inputs[name]}" for name in _OF_ACTION if inputs.get(name)]
    for check in inputs.get("assert", "").splitlines():
        words += ["--assert", check] if check.strip() else []
    if (verdicts := inputs.get("fail-on") or usual) not in {"", "none"}:
        words.append(f"--fail-on={verdicts}")
    return Call(tuple(words))


def flag_values(call: Call) -> Iterator[tuple[str, str]]:
    """The flags of a call, each with its value; an open value is passed over."""
    for word, following in zip(call.words, (*call.words[1:], ""), strict=True):
        flag, sign, value = word.partition("=")
        if flag.startswith("--") and not is_open(value if sign else following):
            yield flag, value if sign else following


def wrong_values(call: Call, environ: Mapping[str, str]) -> Iterator[str]:
    """Say which values of a gate on runs this version refuses, each with the reason."""
    for flag, value in flag_values(call):
        if problem := _problem_of_flag(flag, value):
            yield f"{flag} {value!r}: {problem}"
    for definition in DEFINITIONS.values():
        text = environ.get(definition.variable, "")
        plain = bool(text) and not is_open(text) and not definition.secret
        if plain and (problem := _problem(definition.read, text)):
            yield f"{definition.variable}: {problem}"


def _problem_of_flag(flag: str, value: str) -> str | None:
    if flag in _VERDICTS:
        return _problem(parse_fail_on, value)
    if flag == "--assert":
        return _problem(parse_check, value)
    if flag == "--report":
        form, sign, path = value.partition("=")
        if form.lower() not in set(Format) or not sign or not path.strip():
            return f"write FORMAT=FILE, with one of {', '.join(Format)}"
    for definition in DEFINITIONS.values():
        if not definition.own_prefix and definition.flag == flag and not definition.secret:
            return _problem(definition.read, value)
    return None


def _problem(read: Any, text: str) -> str | None:
    try:
        read(text)
    except (ValueError, TmError) as problem:
        return clean(problem)
    return None


def verdict_remark(call: Call, environ: Mapping[str, str], settings: Settings | None) -> str | None:
    """Say when a gate on runs lets FAIL through; its own flag goes before variable and file."""
    flags = {word.partition("=")[0] for word in call.words}
    text: str | None = None
    if flags & set(_VERDICTS):
        text = next((value for flag, value in flag_values(call) if flag in _VERDICTS), None)
        if not text:
            return None  # a variable stands there, or what is refused anyway
    else:
        from_files = settings.value("fail_on") if settings is not None else None
        text = environ.get("TM_FAIL_ON") or from_files
    if not text:
        return None if "--assert" in flags else "passes whatever the verdict is: add --fail-on"
    if is_open(text) or _problem(parse_fail_on, text):
        return None
    return None if Verdict.FAIL in parse_fail_on(text) else "lets FAIL pass: add it to --fail-on"
