"""Finds the calls of `tm` in scripts; the command tree knows the flags, and what is a gate."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from typing import Any

from tm_cli.setup.check.exit_code_flow import exit_code_remark
from tm_cli.setup.check.model import Remark, Script, not_checked, problem
from tm_cli.setup.check.shell_script import ShellCommand, ShellScript, is_open, program_name
from tm_cli.setup.pipelines import SOFT_WORDS, waiting_block

_PRINTS = frozenset({"echo", "printf"})
_MENTION = re.compile(r"(?<![\w.-])tm(?:\.exe|_cli)?['\"]?\s([^\n]*)")
_FORGIVING_MAKE = re.compile(r"--ignore-errors|--dry-run|--just-print|-[a-zA-Z]*[int][a-zA-Z]*")
_WARNING = re.compile(r"(::warning title=Load test::)[^\"$`\\]*(?=\")")
_HELP = frozenset({"-h", "--help", "--version"})


@dataclass(frozen=True, slots=True)
class Call:
    """A call of `tm`, or of make for a target with a gate.

    `refused` is why this version of tm would not take the command line, `options` are the texts of
    its options by parameter. `remarks` say what is wrong with it in its script. A mention is a gate
    in a text that the check cannot follow, such as a string.
    """

    line: str
    path: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    is_gate: bool = False
    refused: str | None = None
    remarks: tuple[Remark, ...] = ()
    is_mention: bool = False

    @property
    def is_of_runs(self) -> bool:
        """Whether it gates traffic runs; other systems have keys and verdicts of their own."""
        return self.is_gate and self.path[:1] in {("runs",), ("run",)}


def read_call(tree: Any, words: Collection[str]) -> Call:
    """Return what the command line of `tm` with these words does."""
    import typer

    line, rest = f"tm {' '.join(words)}", list(words)
    node, options = tree, dict[str, Any]()
    path: tuple[str, ...] = ()
    wants_help = bool(_HELP & set(words))
    try:
        while hasattr(node, "commands"):
            if wants_help and not [word for word in rest if not word.startswith("-")]:
                return Call(line, path)
            rest = _parse(node, rest)[1]
            name = rest.pop(0) if rest else ""
            if name not in node.commands:
                return Call(line, path, refused=f"there is no command {name!r}")
            node, path = node.commands[name], (*path, name)
        options = _parse(node, rest)[0]
        is_gate = not wants_help and _waits(node, path, options)
        if not wants_help and not any(map(is_open, words)):
            node.make_context("tm", rest, obj=None)
    except typer.TyperException as error:
        flags = {word.partition("=")[0] for word in words}
        given = {item.name: True for item in node.params if flags & set(item.opts)}
        is_gate = not wants_help and _waits(node, path, given)
        return Call(line, path, options, is_gate, refused=error.format_message())
    return Call(line, path, options, is_gate)


def _parse(node: Any, words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Take the words apart as the program does, without converting or asking anything."""
    context = node.context_class(node, info_name="tm")
    context.allow_interspersed_args = not hasattr(node, "commands")
    words = node.read_switches(context, list(words))
    options, rest, _order = node.make_parser(context).parse_args(words)
    return options, rest


def _waits(node: Any, path: tuple[str, ...], options: Mapping[str, Any]) -> bool:
    """Whether a command ends with the exit code of a verdict: always, or where it waits."""
    flags = {flag: item.name for item in node.params for flag in item.opts}
    if "--fail-on" not in flags or path == ("init",):
        return False
    waiting = [flags[flag] for flag in ("--wait", "--exec") if flag in flags]
    return not waiting or any(options.get(name) for name in waiting)


def find_calls(script: Script, tree: Any, targets: Collection[str] = ()) -> list[Call]:
    """Return the calls in a script; the last ones stand for gates that could not be read.

    `targets` are those of make that run a gate.
    """
    if not script.shell.is_posix and re.search(r"[|&;\n`$]", script.text.strip()):
        return list(_mentions(script.text, tree, "this shell is not read"))
    shell = ShellScript(script.text)
    if not shell.is_readable:
        return list(_mentions(script.text, tree, "the script cannot be followed"))
    found = []
    seen = [
        command.node
        for command in shell.commands
        if command.name in _PRINTS
        and not any("`" in word or "$(" in word for word in command.words)
    ]
    is_known = is_waiting_block(script.text)
    for command in shell.commands:
        call = _call(command, tree, targets)
        if call is None:
            continue
        seen.append(command.node)
        if call.is_gate:
            lost = None if is_known else exit_code_remark(shell, command, script.shell)
            dropped = problem(script.lost) if script.lost else None
            remarks = [remark for remark in (dropped, *call.remarks, lost) if remark]
            call = replace(call, remarks=tuple(remarks[:1]))
        found.append(call)
    return [*found, *_mentions(shell.without(seen), tree, "it is not a command of the script")]


def _call(command: ShellCommand, tree: Any, targets: Collection[str]) -> Call | None:
    words = command.effective
    program = program_name(words[0]) if words else ""
    if program == "tm":
        return read_call(tree, words[1:])
    if words[1:3] == ("-m", "tm_cli") and program.startswith("python"):
        return read_call(tree, words[3:])
    elsewhere = any(word.startswith(("-C", "-f", "--directory", "--file")) for word in words)
    if program in {"make", "gmake"} and not elsewhere and set(words[1:]) & set(targets):
        forgiven = [word for word in words[1:] if _FORGIVING_MAKE.fullmatch(word)]
        remarks = [problem(f"`make {word}` drops the exit code of the gate") for word in forgiven]
        return Call(" ".join(words), is_gate=True, remarks=tuple(remarks))
    return None


def _mentions(text: str, tree: Any, reason: str) -> Iterator[Call]:
    """Gates in what is not a command: in strings, here documents, other shells."""
    for found in _MENTION.finditer(text.replace("\\\n", " ")):
        call = read_call(tree, re.split(r"[\s'\"`();&|]+", found[1].strip()))
        if call.is_gate:
            line = " ".join(found[0].split())
            short = line if len(line) <= 60 else line[:57] + "..."
            remark = not_checked(f"the exit code of this gate; {reason}")
            yield Call(short, remarks=(remark,), is_mention=True)


def is_waiting_block(text: str) -> bool:
    """Whether a script is the block that `tm init` writes, whatever its warnings say."""
    lines = _plain(text)
    if len(lines) < 2 or not lines[1].endswith(" &"):
        return False
    command = lines[1].removesuffix(" &")
    children = ShellScript(command).root.children
    if [child.type for child in children] != ["command"] or children[0].has_error:
        return False
    choices = chain.from_iterable(
        combinations(SOFT_WORDS, count) for count in range(len(SOFT_WORDS) + 1)
    )
    return any(lines == _plain(waiting_block(command, soft)) for soft in choices)


def _plain(script: str) -> list[str]:
    """The lines without indentation, comments and the words of warnings."""
    bare = (re.sub(r"(?:^|\s)#.*", "", line).strip() for line in script.splitlines())
    return [_WARNING.sub(r"\1", line) for line in bare if line]
