"""What becomes of a gate's exit code in a script: it counts, is lost, or nobody can tell. Pure.

The rule is simple on purpose: a gate that stands alone counts where the script ends with it or
stops at a failure; saving the code counts where `exit` with it follows. The rest is said aloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tm_cli.setup.check.model import Remark, Status
from tm_cli.setup.check.shell_script import Command

_ALONE = frozenset({"", "\n", ";"})
_PIPES = frozenset({"|", "|&"})
_LATER = re.compile(r"GITHUB_(?:OUTPUT|ENV)")


@dataclass(frozen=True, slots=True)
class Shell:
    """How the platform runs a script: whether it stops at a failure, whether pipes keep one."""

    stops: bool = False
    pipefail: bool = False
    is_posix: bool = True


PLAIN = Shell()
"""A script that somebody runs with `sh`, as make does with each line."""


def loss(
    commands: Sequence[Command], number: int, shell: Shell, *, replaces: bool = False
) -> Remark | None:
    """Return why the exit code of a gate may not count, None where it does.

    `replaces` says that the gate takes the place of the shell, as after `exec`.
    """
    gate, earlier = commands[number], commands[:number]
    if problem := _not_alone(gate) or _never_reached(earlier) or _trapped(commands):
        return problem
    end, pipefail = number, _option(earlier, "pipefail", "", shell.pipefail)
    while commands[end].after in _PIPES:
        if not pipefail:
            return Remark("a pipe drops its exit code: `set -o pipefail`, or redirect instead")
        end += 1
        if end == len(commands):
            return Remark("cannot tell whether its exit code counts: the pipe leads nowhere")
    if replaces and gate.after in _ALONE:
        return _skipped(earlier)
    rest = commands[end + 1 :]
    if _is_sent_away(commands[end:]):
        return Remark("it runs in the background, and its exit code may be lost")
    stops = _option(earlier, "errexit", "e", shell.stops) and gate.before != "&&"
    if not shell.is_posix and (rest or commands[end].after not in _ALONE):
        return Remark("cannot tell whether its exit code counts: it is not the last in this shell")
    return _after(commands[end].after, rest, stops=stops) or _skipped(earlier)


def _not_alone(gate: Command) -> Remark | None:
    if gate.is_negated:
        return Remark("`!` turns its exit code round")
    if gate.inside:
        return Remark(f"its exit code may be lost here, inside `{gate.inside}`: let it stand alone")
    if gate.before == "||":
        return Remark("it runs only if what stands before `||` fails")
    if gate.before in _PIPES | {")"}:
        return Remark("cannot tell whether its exit code counts: let it stand alone in its line")
    return None


def _never_reached(earlier: Sequence[Command]) -> Remark | None:
    for command in earlier:
        ends = command.words[0] in {"exit", "return"} or (
            command.words[0] == "exec" and len(command.words) > 1
        )
        if ends and not command.inside and command.before in {*_ALONE, "&"}:
            return Remark(f"it is never reached: `{' '.join(command.words)}` stands before it")
    return None


def _skipped(earlier: Sequence[Command]) -> Remark | None:
    for command in earlier:
        if "exit" not in command.words or command.words[0] in {"echo", "printf", "trap"}:
            continue
        code = command.words[command.words.index("exit") + 1 :]
        after_failure = command.before == "||" and code in {(), ("$?",)}
        if not (after_failure or (code and _is_failure(code[0]))):
            return Remark("it is skipped where the `exit` before it is reached", Status.TODO)
    return None


def _trapped(commands: Sequence[Command]) -> Remark | None:
    """A trap at the end of the script may exit with a code of its own."""
    for command in commands:
        if command.words[0] == "trap" and {"EXIT", "0", "ERR"} & set(command.words[2:]):
            action = command.words[1]
            if "exit" in action or re.fullmatch(r"\w+|\$.*", action):
                return Remark(f"cannot tell whether `trap {action}` keeps its exit code")
    return None


def _option(earlier: Sequence[Command], name: str, letter: str, start: bool) -> bool:
    """Whether an option of the shell is on after these commands; in doubt it is off."""
    on = start
    for command in earlier:
        if command.words[0] != "set":
            continue
        certain = _is_plain(command)
        for sign in _signs(command.words[1:], name, letter):
            on = sign == "-" and (on or certain)
    return on


def _signs(words: Sequence[str], name: str, letter: str) -> Iterator[str]:
    """The sign of each mention of an option among the words of `set`."""
    rest = list(words)
    while rest and re.fullmatch(r"[-+][a-zA-Z]+", rest[0]):
        word = rest.pop(0)
        if letter and letter in word[1:]:
            yield word[0]
        if word.endswith("o") and rest and rest.pop(0) == name:
            yield word[0]


def _after(operator: str, rest: Sequence[Command], *, stops: bool) -> Remark | None:
    match operator:
        case "||":
            return _otherwise(rest)
        case "&&":
            chained = all(command.after == "&&" for command in rest[:-1])
            ends = bool(rest) and rest[-1].after in _ALONE
            chained = chained and not any(command.is_negated for command in rest)
            return None if chained and ends else Remark("`&&` drops its exit code: nothing stops")
        case _ if operator not in _ALONE:
            return Remark("cannot tell whether its exit code counts: let it stand alone")
    if not rest or stops:
        return None
    if rest[0].words in {("exit", "$?"), ("exit",)} and _is_plain(rest[0]):
        return None
    if (name := _saves(rest[0])) and not rest[0].inside:
        return _kept(rest[1:], name)
    return Remark(
        f"its exit code may be lost: `{rest[0].words[0]}` follows, and nothing stops at a failure"
    )


def _is_sent_away(commands: Sequence[Command]) -> bool:
    """Whether the list of commands that begins here ends with `&`."""
    ends = (command.after for command in commands if command.after not in {"&&", "||", *_PIPES})
    return next(ends, "") == "&"


def _otherwise(rest: Sequence[Command]) -> Remark | None:
    """What follows `||`."""
    if not rest or rest[0].inside:
        return Remark("cannot tell whether what follows `||` keeps its exit code")
    command = rest[0]
    if command.words[0] == "exit" and command.after not in _PIPES:
        fails = command.words[1:] in ((), ("$?",)) or _is_failure(command.words[1])
        return None if fails else Remark(f"`|| {' '.join(command.words)}` drops its exit code")
    if (name := _saves(command)) and command.after in _ALONE:
        return _kept(rest[1:], name)
    return Remark(f"`|| {command.words[0]}` drops its exit code")


def _is_failure(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) % 256 != 0


def _is_plain(command: Command) -> bool:
    return not command.inside and {command.before, command.after} <= _ALONE


def _saves(command: Command) -> str | None:
    """The variable that takes the exit code."""
    found = re.fullmatch(r"([A-Za-z_]\w*)=\$\{?\?\}?", command.words[0])
    return found[1] if found and len(command.words) == 1 else None


def _kept(rest: Sequence[Command], name: str) -> Remark | None:
    """Whether the saved code becomes that of the script."""
    for command in rest:
        if any(word.startswith(f"{name}=") for word in command.words):
            break
        if command.words[0] == "exit":
            ours = command.words[1:] in {(f"${name}",), (f"${{{name}}}",)}
            if ours and _is_plain(command):
                return None
            break
    if any(_LATER.search(text) for command in rest for text in (*command.files, *command.words)):
        return Remark(
            "cannot tell whether a later step fails by the saved exit code: look", Status.TODO
        )
    return Remark(f'its exit code is saved and may be lost: end with `exit "${name}"`')
