"""Decides whether a script propagates the exit code of a gate.

The rule is an allow-list. A gate counts where it stands alone and the script ends with it or stops
at a failure; a saved code counts where `exit` with it follows. Everything else is reported, either
as lost or as not checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tm_cli.setup.check.model import Remark, Shell, not_checked, problem, warning
from tm_cli.setup.check.shell_script import (
    Command,
    ShellScript,
    is_open,
    text_of,
)

if TYPE_CHECKING:
    from tree_sitter import Node

_ENDS = frozenset({"exit", "exec", "return"})
_CHANGES_THE_SHELL = frozenset({"eval", "source", ".", "alias", "enable", "shopt", "unalias"})
_ASSIGNS = frozenset({"read", "printf", "let", "getopts", "mapfile", "readarray", "wait"})
_HARMLESS_TRAPS = frozenset({"INT", "TERM", "HUP", "QUIT", "SIGINT", "SIGTERM", "SIGHUP"})
_SET_LETTERS = re.compile(r"[-+][abefhmuvxBCEHPT]*o?")
_SET_NAMES = frozenset(
    {"allexport", "errexit", "errtrace", "functrace", "noclobber", "noglob", "nounset", "pipefail"}
) | {"posix", "verbose", "xtrace", "monitor", "notify", "hashall", "physical", "braceexpand"}
_LATER = re.compile(r"GITHUB_(?:OUTPUT|ENV)")
_HEREDOC = frozenset({"<<", "<<-", "heredoc_start", "heredoc_body", "heredoc_end"})
_INSIDE = {
    "if_statement": "if", "elif_clause": "if", "else_clause": "else", "while_statement": "while",
    "for_statement": "for", "c_style_for_statement": "for", "case_item": "case", "subshell": "( )",
    "compound_statement": "{ }", "do_group": "do", "function_definition": "a function",
    "command_substitution": "$( )", "process_substitution": "<( )",
}  # fmt: skip


class _Lost(Exception):
    """The exit code of the gate does not count, or it cannot be known."""

    def __init__(self, remark: Remark) -> None:
        self.remark = remark


def exit_code_remark(script: ShellScript, gate: Command, shell: Shell) -> Remark | None:
    """Return why the exit code of a gate may not be that of the script, None where it is."""
    try:
        return _Flow(script, gate, shell).remark()
    except _Lost as lost:
        return lost.remark


class _Flow:
    """The way of one exit code to the end of the script.

    `needs_end` says that a failure does not stop the shell, as in `cd app && tm ...`;
    `ends` that the script ends there with a failure, as in `tm ... || exit 1`; `saved` is the
    variable that holds the code.
    """

    def __init__(self, script: ShellScript, gate: Command, shell: Shell) -> None:
        self.script, self.gate, self.shell = script, gate, shell
        self.needs_end = self.ends = self.is_piped = False
        self.saved: str | None = None
        self.reached = gate.node.end_byte

    def remark(self) -> Remark | None:
        earlier = [
            command
            for command in self.script.commands
            if command.node.start_byte < self.gate.node.start_byte
        ]
        self._check_script()
        skipped = self._check_exits(earlier)
        statement = self._climb(_has_option(earlier, "pipefail", "", start=self.shell.pipefail))
        if (after := statement.next_sibling) is not None and after.type == "&":
            raise _Lost(problem("it runs in the background, and its exit code may be lost"))
        replaces = self.gate.words[0] == "exec" and not (self.needs_end or self.is_piped)
        if not (self.ends or replaces):
            stops = _has_option(earlier, "errexit", "e", start=self.shell.stops)
            self._check_rest(statement, stops=stops and not self.needs_end)
        return skipped

    def _check_script(self) -> None:
        """Refuse what may change the meaning of everything else."""
        if not self.script.is_readable:
            raise _Lost(not_checked("the exit code of a gate; the script cannot be parsed"))
        for name in self.script.functions:
            if name in {"tm", "set", "trap", "wait", "false", "true"} | _ENDS | _CHANGES_THE_SHELL:
                raise _Lost(not_checked(f"the exit code of a gate; a function is called {name}"))
        for command in self.script.commands:
            self._check_command(command)

    def _check_command(self, command: Command) -> None:
        words = command.effective
        name, line = words[0] if words else "", " ".join(words[:3])
        if name in _CHANGES_THE_SHELL and not line.endswith("/activate"):
            raise _Lost(not_checked(f"the exit code of a gate; `{line}` may change the shell"))
        if is_open(name) and "/" not in name and command is not self.gate:
            raise _Lost(not_checked(f"the exit code of a gate; `{name}` may be anything"))
        if name == "set" and not _is_known_set(words[1:]):
            raise _Lost(not_checked(f"the exit code of a gate; `{line}` may change the shell"))
        if name == "trap" and set(words[2:]) - _HARMLESS_TRAPS:
            self._check_trap(words[1])
        body = self.script.functions.get(name)
        if body is not None and self._may_end_the_script(body):
            raise _Lost(not_checked(f"the exit code of a gate; `{name}` may end the script"))

    def _check_trap(self, action: str) -> None:
        """A trap at the end of the script may exit with a code of its own."""
        names = {
            command.effective[0] for command in ShellScript(action).commands if command.effective
        }
        functions = [self.script.functions[name] for name in names & self.script.functions.keys()]
        if (
            not names
            or names & (_ENDS | _CHANGES_THE_SHELL | {"trap", "set", "--"})
            or any(is_open(name) for name in names)
            or any(self._may_end_the_script(function) for function in functions)
        ):
            raise _Lost(not_checked(f"whether `trap {action}` keeps the exit code of a gate"))

    def _may_end_the_script(self, function: Node) -> bool:
        """Whether a function may end the script with a success, or change how it goes on."""
        for command in self.script.commands_in(function):
            words = command.effective
            if command.words[0] == "exec" or words[:1] in {("set",), ("trap",)}:
                return True
            if words[:1] == ("exit",) and not _is_failure(words[1:]):
                return True
        return False

    def _check_exits(self, earlier: Sequence[Command]) -> Remark | None:
        """Look for an end of the script before the gate."""
        skipped = None
        for command in earlier:
            words, line = command.effective, " ".join(command.words)
            ends = command.words[0] == "exec" and len(command.words) > 1
            if not (ends or words[:1] in {("exit",), ("return",)}):
                continue
            if self.script.in_function(command.node):
                continue  # judged where the function is called
            if _is_statement(command.node):
                raise _Lost(problem(f"it is never reached: `{line}` precedes it"))
            if ends or not (_is_failure(words[1:]) or _follows_failure(command)):
                skipped = warning(f"it is skipped where `{line}` is reached before it")
        return skipped

    def _climb(self, pipefail: bool) -> Node:
        """Go from the gate up to the statement of the script that it is in."""
        node = self.gate.node
        while (parent := node.parent) is not None and parent.type != "program":
            match parent.type:
                case "redirected_statement":
                    _check_redirects(parent, node)
                case "pipeline":
                    self.is_piped = True
                    _check_pipeline(parent, node, pipefail=pipefail)
                case "list":
                    self._check_list(parent, node)
                case "negated_command":
                    raise _Lost(problem("`!` turns its exit code round"))
                case kind if kind in _INSIDE:
                    inside = _INSIDE[kind]
                    raise _Lost(
                        problem(
                            f"its exit code may be lost here, inside `{inside}`: let it stand alone"
                        )
                    )
                case _:
                    raise _Lost(not_checked("the exit code of a gate: let it stand alone"))
            node = parent
        return node

    def _check_list(self, parent: Node, node: Node) -> None:
        left, operator, right = (*parent.children, parent, parent)[:3]
        is_left = node.start_byte == left.start_byte
        if len(parent.children) != 3:
            raise _Lost(not_checked("the exit code of a gate: let it stand alone"))
        if operator.type == "&&":
            self.needs_end = True
        elif not is_left:
            raise _Lost(problem("it runs only if what precedes `||` fails"))
        elif not self.ends and self.saved is None:
            self._check_alternative(right)

    def _check_alternative(self, right: Node) -> None:
        """What follows `||` has to fail, or to save the code."""
        if (name := _saves(right)) is not None:
            self.saved, self.reached, self.needs_end = name, right.end_byte, False
            return
        words = self.script.words_of(right)
        if right.type == "compound_statement" and self._fails_at_last(right):
            self.ends = True
        elif words[:1] == ("exit",):
            if not (words[1:] in {(), ("$?",)} or _is_failure(words[1:])):
                raise _Lost(problem(f"`|| {' '.join(words)}` drops its exit code"))
            self.ends = True
        else:
            text = " ".join(text_of(right).split())
            raise _Lost(problem(f"`|| {text[:40]}` drops its exit code"))

    def _fails_at_last(self, block: Node) -> bool:
        """Whether a block such as `{ echo failed; exit 1; }` ends the script with a failure."""
        *others, last = [child for child in block.named_children if child.type != "comment"] or [
            block
        ]
        names = {self.script.words_of(child)[:1] for child in others}
        words = self.script.words_of(last)
        after = last.next_sibling
        return (
            text_of(block).startswith("{")
            and names <= {("echo",), ("printf",)}
            and words[:1] == ("exit",)
            and _is_failure(words[1:])
            and (after is None or after.type != "&")
        )

    def _check_rest(self, statement: Node, *, stops: bool) -> None:
        rest = [
            child
            for child in (statement.parent or statement).named_children
            if child.start_byte > statement.start_byte and child.type != "comment"
        ]
        if self.saved is not None:
            return self._check_saved(self.saved)
        if not rest or stops:
            return None
        if _is_statement(rest[0]):
            if self.script.words_of(rest[0]) in {("exit",), ("exit", "$?")}:
                return None
            if (name := _saves(rest[0])) is not None:
                self.reached = rest[0].end_byte
                return self._check_saved(name)
        if self.needs_end:
            raise _Lost(problem("`&&` drops its exit code: nothing stops"))
        text = " ".join(text_of(rest[0]).split())[:40]
        raise _Lost(
            problem(f"its exit code may be lost: `{text}` follows, and nothing stops at a failure")
        )

    def _check_saved(self, name: str) -> None:
        """Whether the saved code becomes that of the script."""
        for command in self.script.commands:
            if command.node.start_byte < self.reached:
                continue
            ours = command.words in {("exit", f"${name}"), ("exit", f"${{{name}}}")}
            if ours and _is_statement(command.node):
                if self._is_changed(name, command.node.start_byte):
                    break
                return
            if {command.name, *command.effective[:1]} & _ENDS:
                break
        later = self.script.source[self.reached :].decode(errors="replace")
        if _LATER.search(later):
            raise _Lost(not_checked("whether a later step fails by the saved exit code"))
        raise _Lost(problem(f'its exit code is saved and may be lost: end with `exit "${name}"`'))

    def _is_changed(self, name: str, end: int) -> bool:
        """Whether anything between the save and `end`, or in a function, may assign it."""
        return any(
            _assigns(node, name)
            for node in self.script.nodes
            if self.reached <= node.start_byte < end or self.script.in_function(node)
        )


def _check_redirects(statement: Node, node: Node) -> None:
    """A here document may hold the rest of the line: `tm ... <<EOF || true`."""
    for child in statement.children:
        if child == node or child.type in {"file_redirect", "herestring_redirect"}:
            continue
        kinds = {part.type for part in child.children}
        if child.type != "heredoc_redirect" or kinds - _HEREDOC:
            raise _Lost(not_checked("the exit code of a gate: let it stand alone"))


def _check_pipeline(pipeline: Node, node: Node, *, pipefail: bool) -> None:
    kinds = {child.type for child in pipeline.children}
    if "negated_command" in kinds:
        raise _Lost(problem("`!` turns its exit code round"))
    bodies = {child.child_by_field_name("body") for child in pipeline.children}
    kinds |= {body.type for body in bodies if body is not None}
    if kinds & {"list", "pipeline"}:  # the parser takes `|&` and redirections for weaker than `&&`
        raise _Lost(not_checked("the exit code of a gate: let it stand alone"))
    if node != pipeline.children[-1] and not pipefail:
        raise _Lost(problem("a pipe drops its exit code: `set -o pipefail`, or redirect instead"))


def _has_option(earlier: Sequence[Command], name: str, letter: str, *, start: bool) -> bool:
    """Whether an option of the shell is on after these commands; in doubt it is off."""
    on = start
    for command in earlier:
        if command.effective[:1] == ("set",):
            certain = _is_statement(command.node)
            for sign in _signs(command.effective[1:], name, letter):
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


def _is_known_set(words: Sequence[str]) -> bool:
    """Whether `set` does nothing but switch options that are understood here."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return True
        if not _SET_LETTERS.fullmatch(word) or is_open(word):
            return False
        if word.endswith("o") and (not rest or rest.pop(0) not in _SET_NAMES):
            return False
    return True


def _is_statement(node: Node) -> bool:
    """Whether a node is a statement of the script itself, not sent to the background."""
    after = node.next_sibling
    parent = node.parent
    return parent is not None and parent.type == "program" and (after is None or after.type != "&")


def _follows_failure(command: Command) -> bool:
    """Whether it is the `exit` of `... || exit`, which passes the failure on."""
    node, parent = command.node, command.node.parent
    is_right = parent is not None and parent.type == "list" and node == parent.children[-1]
    passes_on = command.effective[1:] in {(), ("$?",)}
    return is_right and passes_on and parent is not None and parent.children[1].type == "||"


def _is_failure(words: Sequence[str]) -> bool:
    """Whether `exit` with these words is a failure for certain."""
    text = words[0] if len(words) == 1 else ""
    return text.isascii() and text.isdigit() and int(text) % 256 != 0


def _saves(node: Node) -> str | None:
    """The variable that takes the exit code: `code=$?`."""
    found = re.fullmatch(r"([A-Za-z_]\w*)=\"?\$\{?\?\}?\"?", text_of(node))
    return found[1] if found and node.type == "variable_assignment" else None


def _assigns(node: Node, name: str) -> bool:
    """Whether a node assigns a variable, or might."""
    text, mentioned = text_of(node), rf"(?<!\w){name}(?!\w)"
    match node.type:
        case "variable_assignment" | "for_statement":
            names = [child for child in node.children if child.type == "variable_name"]
            return any(text_of(child) == name for child in names)
        case "command":
            words = text.split()
            return words[0] in _ASSIGNS and re.search(mentioned, text) is not None
        case "arithmetic_expansion" | "unset_command" | "declaration_command":
            return re.search(mentioned, text) is not None
        case "compound_statement" if text.startswith("(("):
            return re.search(mentioned, text) is not None
        case "expansion":
            return re.match(rf"\$\{{{name}:?=", text) is not None
    return False
