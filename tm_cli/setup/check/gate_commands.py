"""Finds the calls of `tm` in a script, and what becomes of their exit codes. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tm_cli.setup.check.exit_code_flow import PLAIN, Shell, loss
from tm_cli.setup.check.model import Remark
from tm_cli.setup.check.shell_script import Command, is_assignment, read_script
from tm_cli.setup.pipelines import is_waiting_block

SYSTEMS = frozenset({"runs", "benchmarks", "jobs"})

_RUNNERS = frozenset({"uv", "poetry", "pipenv", "hatch", "pdm", "rye"})
"""`uv run tm` ends as tm does."""
_QUIET = frozenset({"exec", "time", "command", "env", "nohup", "nice", "sudo"})
_WITH_VALUE = frozenset({"-k", "-s", "-n", "-u", "-a"})
_GLOBAL_WITH_VALUE = frozenset(
    {"--base-url", "--api-key", "--api-key-file", "--context", "--timeout"}
)
_SAYING = frozenset({"echo", "printf"})
_MENTION = re.compile(
    r"\btm(?:\.exe|_cli)?['\"]?\s[^\n]*?\b(?:wait\b|exec\b|(?:gate|report)\s+eval\b)"
)
_OPEN = re.compile(r"[$`*?]")


@dataclass(frozen=True, slots=True)
class Call:
    """The words after `tm`, and what is wrong with its exit code, if anything is.

    `is_make` marks a call of make whose target holds a gate; its words are those after `make`.
    """

    words: tuple[str, ...]
    lost: Remark | None = None
    is_make: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the shell would put something in the place of a word."""
        return any(is_open(word) for word in self.words)

    @property
    def is_gate(self) -> bool:
        """Whether it waits for a verdict."""
        if self.is_make:
            return True
        if {"-h", "--help", "--version"} & set(self.words):
            return False
        path = self.path
        waits = path[1:2] == ("wait",) or path[:3] == ("benchmarks", "jobs", "wait")
        starts = {word.partition("=")[0] for word in self.words} & {"--wait", "--exec"}
        if path[:1] in {("gate",), ("report",)}:
            return path[1:2] == ("eval",)
        return waits or bool(starts)

    @property
    def path(self) -> tuple[str, ...]:
        """The words from the first that is no option."""
        words = list(self.words)
        while words and words[0].startswith("-"):
            takes_one = words[0] in _GLOBAL_WITH_VALUE
            words = words[2 if takes_one else 1 :]
        return tuple(words)

    @property
    def is_of_runs(self) -> bool:
        """Whether it concerns a traffic run; other systems have keys and verdicts of their own."""
        return not self.is_make and self.path[:1] == ("runs",)


def is_open(word: str) -> bool:
    """Whether the shell or the platform would put something else in the place of the word."""
    return _OPEN.search(word) is not None


def find_calls(
    text: str, shell: Shell = PLAIN, *, targets: Collection[str] = ()
) -> tuple[list[Call], list[Remark]]:
    """Return the calls in a script, and remarks on what looks like a gate and cannot be read.

    `targets` are those of make that run a gate.
    """
    script = read_script(text)
    known = shell.is_posix and is_waiting_block(text)
    calls = []
    doubts = [_doubt(part) for part in script.unread if _MENTION.search(part)]
    for number, command in enumerate(script.commands):
        if (call := _call(command, targets)) is not None:
            if call.is_gate and not known:
                lost = loss(script.commands, number, shell, replaces=command.words[0] == "exec")
                call = Call(call.words, call.lost or lost, call.is_make)
            calls.append(call)
        else:
            doubts += _hidden(command)
    return calls, doubts


def _doubt(text: str) -> Remark:
    return Remark(f"cannot tell what becomes of the exit code of a gate in {_short(text)!r}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def _hidden(command: Command) -> Iterator[Remark]:
    """Gates in the arguments of something else."""
    whole = " ".join(command.words)
    runs_it = re.search(r"\$\(|`", whole)
    if _MENTION.search(whole) and (runs_it or command.words[0] not in _SAYING):
        yield _doubt(whole)


def _call(command: Command, targets: Collection[str]) -> Call | None:
    rest = _bare(list(command.words))
    if rest and _name(rest[0]) == "tm":
        return Call(tuple(rest[1:]))
    if rest[1:3] == ["-m", "tm_cli"] and _name(rest[0]).startswith("python"):
        return Call(tuple(rest[3:]))
    elsewhere = any(word.startswith(("-C", "-f", "--directory", "--file")) for word in rest)
    is_make = bool(rest) and _name(rest[0]) in {"make", "gmake"} and not elsewhere
    if is_make and set(rest[1:]) & set(targets):
        return Call(tuple(rest[1:]), _forgiven_by_make(rest[1:]), is_make=True)
    return None


def _forgiven_by_make(words: list[str]) -> Remark | None:
    for word in words:
        if re.fullmatch(r"--ignore-errors|--dry-run|--just-print|-[a-zA-Z]*[int][a-zA-Z]*", word):
            return Remark(f"`make {word}` drops the exit code of the gate")
    return None


def _name(word: str) -> str:
    return PurePosixPath(word.replace("\\", "/")).name.removesuffix(".exe")


def _bare(words: list[str]) -> list[str]:
    """The words from the program on, without what only changes how it runs."""
    while words:
        first = _name(words[0])
        if is_assignment(words[0]):
            words = words[1:]
        elif first in _QUIET:
            words = _without_options(words[1:])
        elif first == "timeout":
            words = _without_options(words[1:])[1:]
        elif first in _RUNNERS and words[1:2] == ["run"]:
            words = _without_options(words[2:])
        else:
            break
    return words


def _without_options(words: list[str]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in _WITH_VALUE else 1 :]
    return words


@dataclass(frozen=True, slots=True)
class Step:
    """Calls of `tm` that share an environment; `place` names the job.

    `directory` is where they run, relative to the repository.
    `remarks` say what the platform does with a gate here, `doubts` where one may hide; `runs` is
    False where the platform never comes here. `inputs` are those of the GitHub action, where a
    step uses it. `installs` are the lines that may install tm.
    """

    place: str
    calls: tuple[Call, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    doubts: tuple[Remark, ...] = ()
    inputs: Mapping[str, str] | None = None
    directory: str = "."
    runs: bool = True
    installs: tuple[str, ...] = ()

    @property
    def gates(self) -> int:
        """How many gates it has."""
        return sum(call.is_gate for call in self.calls) + (self.inputs is not None)

    @property
    def is_of_tm(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.calls or self.doubts) or self.inputs is not None
