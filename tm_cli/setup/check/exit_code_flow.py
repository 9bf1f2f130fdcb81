"""Decides whether a script propagates the exit code of a gate.

The rule is an allow-list. A gate counts where it stands alone and the script ends with it or stops
at a failure; a saved code counts where `exit` with it follows. Everything else is reported, either
as lost or as not checked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tm_cli.setup.check.model import Remark, ShellOptions, not_checked, problem, warning
from tm_cli.setup.check.shell_script import ShellCommand, ShellScript, is_open, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_ENDS = frozenset({"exit", "exec", "return"})
_CHANGES_THE_SHELL = frozenset({"eval", "source", ".", "alias", "enable", "shopt", "unalias"})
_OPTIONS = frozenset({"errexit", "errtrace", "noglob", "nounset", "pipefail", "verbose", "xtrace"})
_OF_A_CANCELLED_JOB = frozenset({"INT", "TERM", "HUP", "QUIT", "SIGINT", "SIGTERM", "SIGHUP"})
_HARMLESS_TRAP = re.compile(r"(?:echo|kill|printf|rm|wait) [^;&|()`\n]*")
_FAILING_BLOCK = re.compile(
    r"\{\s+(?:(?:echo|printf) [^;&|()`$\n]*[;\n]\s*)*exit [1-9][0-9]?\s*[;\n]\s*\}"
)
_LATER = re.compile(r"GITHUB_(?:OUTPUT|ENV)")


class _Lost(Exception):
    """The exit code of the gate does not count, or it cannot be known."""

    def __init__(self, remark: Remark) -> None:
        self.remark = remark


def exit_code_remark(script: ShellScript, gate: ShellCommand, shell: ShellOptions) -> Remark | None:
    """Return why the exit code of a gate may not be that of the script, None where it is."""
    try:
        _check_script(script)
        options = {"errexit": shell.stops, "pipefail": shell.pipefail}
        skipped = _check_before(script, gate, options)
        flow = _Flow(script, options)
        flow.follow(gate)
    except _Lost as lost:
        return lost.remark
    return skipped


def _check_script(script: ShellScript) -> None:
    """Raise _Lost for what may change the meaning of everything else."""
    for command in script.commands:
        words = command.effective
        name, line = words[0] if words else "", " ".join(words[:3])
        if name == "set":
            _switched(words[1:])
        changes_it = name in _CHANGES_THE_SHELL and not line.endswith("/activate")
        if name == "trap" and not set(words[2:]) <= _OF_A_CANCELLED_JOB:
            changes_it = _HARMLESS_TRAP.fullmatch(words[1]) is None
        if changes_it or (is_open(name) and "/" not in name):
            raise _Lost(not_checked(f"the exit code of a gate; `{line}` may change the shell"))


def _check_before(
    script: ShellScript, gate: ShellCommand, options: dict[str, bool]
) -> Remark | None:
    """Apply `set` to the options; look for an end of the script before the gate."""
    skipped = None
    for command in script.commands:
        if command.node.start_byte >= gate.node.start_byte:
            break
        words, certain = command.effective, _is_statement(command.node)
        if words[:1] == ("set",):
            for name, on in _switched(words[1:]).items():
                options[name] = on and (certain or options.get(name, False))
        is_exec = command.words[0] == "exec" and len(command.words) > 1
        if is_exec or words[:1] in {("exit",), ("return",)}:
            line = " ".join(command.words)
            if certain:
                raise _Lost(problem(f"it is never reached: `{line}` precedes it"))
            if is_exec or not (_is_failure(words[1:]) or _follows_failure(command)):
                skipped = warning(f"it is skipped where `{line}` is reached before it")
    return skipped


class _Flow:
    """The way of one exit code to the end of the script.

    `needs_end` says that a failure does not stop the shell, as in `cd app && tm ...`; `saved` is
    the variable that holds the code, `ends` that the script ends there, as in `tm ... || exit 1`.
    """

    def __init__(self, script: ShellScript, options: dict[str, bool]) -> None:
        self.script, self.options = script, options
        self.needs_end = self.ends = self.is_piped = False
        self.saved: str | None = None

    def follow(self, gate: ShellCommand) -> None:
        """Raise _Lost unless the code gets to the end."""
        self.end = gate.node.end_byte
        statement = self._climb(gate.node)
        after = statement.next_sibling
        if after is not None and after.type == "&":
            raise _Lost(problem("it runs in the background, and its exit code may be lost"))
        replaces_the_shell = gate.words[0] == "exec" and not (self.needs_end or self.is_piped)
        if not (self.ends or replaces_the_shell):
            self._check_rest(statement)

    def _climb(self, node: Node) -> Node:
        """Go from the gate up to the statement of the script that it is in."""
        while (parent := node.parent) is not None and parent.type != "program":
            match parent.type:
                case "redirected_statement":
                    _check_redirects(parent, node)
                case "pipeline":
                    self._check_pipeline(parent, node)
                case "list" if len(parent.children) == 3:
                    self._check_list(parent, node)
                case "negated_command":
                    raise _Lost(problem("`!` turns its exit code round"))
                case kind:
                    kind = kind.removesuffix("_statement").replace("_", " ")
                    text = f"its exit code may be lost inside `{kind}`: let it stand alone"
                    raise _Lost(problem(text))
            node = parent
        return node

    def _check_pipeline(self, pipeline: Node, node: Node) -> None:
        self.is_piped = True
        bodies = [child.child_by_field_name("body") for child in pipeline.children]
        kinds = {child.type for child in [*pipeline.children, *bodies] if child is not None}
        if "negated_command" in kinds:
            raise _Lost(problem("`!` turns its exit code round"))
        if kinds & {"list", "pipeline"}:  # the parser takes `|&` and `>` for weaker than `&&`
            raise _Lost(not_checked("the exit code of a gate: let it stand alone"))
        if node != pipeline.children[-1] and not self.options["pipefail"]:
            text = "a pipe drops its exit code: `set -o pipefail`, or redirect instead"
            raise _Lost(problem(text))

    def _check_list(self, parent: Node, node: Node) -> None:
        left, operator, right = parent.children
        if operator.type == "&&":
            self.needs_end = True
        elif node != left:
            raise _Lost(problem("it runs only if what precedes `||` fails"))
        elif not self.ends and self.saved is None:
            self._check_alternative(right)

    def _check_alternative(self, right: Node) -> None:
        """What follows `||` has to fail, or to save the code."""
        words, text = self.script.words_of(right), " ".join(text_of(right).split())
        self.saved = _saves(right)
        self.end, self.needs_end = right.end_byte, False
        self.ends = _FAILING_BLOCK.fullmatch(text_of(right)) is not None or (
            words[:1] == ("exit",) and (words[1:] in {(), ("$?",)} or _is_failure(words[1:]))
        )
        if not self.ends and self.saved is None:
            raise _Lost(problem(f"`|| {text[:40]}` drops its exit code"))

    def _check_rest(self, statement: Node) -> None:
        following = statement.next_named_sibling
        while following is not None and following.type == "comment":
            following = following.next_named_sibling
        if self.saved is not None:
            return self._check_saved(self.saved)
        if following is None or (self.options["errexit"] and not self.needs_end):
            return None
        if _is_statement(following):
            if self.script.words_of(following) in {("exit",), ("exit", "$?")}:
                return None
            if (name := _saves(following)) is not None:
                self.end = following.end_byte
                return self._check_saved(name)
        if self.needs_end:
            raise _Lost(problem("`&&` drops its exit code: nothing stops"))
        text = f"`{' '.join(text_of(following).split())[:40]}` follows"
        raise _Lost(problem(f"its exit code may be lost: {text}, and nothing stops at a failure"))

    def _check_saved(self, name: str) -> None:
        """Whether the saved code becomes that of the script."""
        for command in self.script.commands:
            if command.node.start_byte < self.end:
                continue
            if {command.name, *command.effective[:1]} & _ENDS:
                between = self.script.source[self.end : command.node.start_byte].decode()
                passes_on = command.words in {("exit", f"${name}"), ("exit", f"${{{name}}}")}
                if passes_on and _is_statement(command.node) and not _may_assign(between, name):
                    return
                break
        if _LATER.search(self.script.source[self.end :].decode()):
            raise _Lost(not_checked("whether a later step fails by the saved exit code"))
        raise _Lost(problem(f'its exit code is saved and may be lost: end with `exit "${name}"`'))


def _check_redirects(statement: Node, node: Node) -> None:
    """A here document may hold the rest of the line: `tm ... <<EOF || true`."""
    for child in statement.children:
        kinds = {part.type.removeprefix("heredoc_") for part in child.children}
        is_heredoc = child != node and child.type == "heredoc_redirect"
        if is_heredoc and kinds - {"<<", "<<-", "start", "body", "end"}:
            raise _Lost(not_checked("the exit code of a gate: let it stand alone"))
        if child != node and kinds & {"&>", "&>>"}:
            raise _Lost(problem("in sh, `&>` sends it to the background: write `> log 2>&1`"))


def _switched(words: Sequence[str]) -> dict[str, bool]:
    """Return the options that the words of `set` switch; raise _Lost for what else they may do."""
    changes: dict[str, bool] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        names = ["errexit"] if "e" in word else []
        names += [next(rest, "")] if "o" in word else []
        if not re.fullmatch(r"[-+][eEfouvx]+", word) or not set(names) <= _OPTIONS:
            text = f"the exit code of a gate; `set {' '.join(words)}` may change the shell"
            raise _Lost(not_checked(text))
        changes |= dict.fromkeys(names, word[0] == "-")
    return changes


def _is_statement(node: Node) -> bool:
    """Whether a node is a statement of the script itself, not sent to the background."""
    after, parent = node.next_sibling, node.parent
    in_background = after is not None and after.type == "&"
    return parent is not None and parent.type == "program" and not in_background


def _follows_failure(command: ShellCommand) -> bool:
    """Whether it is the `exit` of `... || exit`, which passes the failure on."""
    before = command.node.prev_sibling
    return (
        before is not None
        and before.type == "||"
        and command.words
        in {
            ("exit",),
            ("exit", "$?"),
        }
    )


def _is_failure(words: Sequence[str]) -> bool:
    """Whether `exit` with these words is a failure for certain."""
    return len(words) == 1 and re.fullmatch(r"[1-9][0-9]?|1[0-9][0-9]", words[0]) is not None


def _saves(node: Node) -> str | None:
    """The variable that takes the exit code: `code=$?`."""
    found = re.fullmatch(r"([A-Za-z_]\w*)=\"?\$\{?\?\}?\"?", text_of(node))
    return found[1] if found and node.type == "variable_assignment" else None


def _may_assign(text: str, name: str) -> bool:
    """Whether a text may change a variable: by `=`, by arithmetic, or by a builtin."""
    builtins = "declare|export|for|getopts|let|local|mapfile|printf|read|readonly|typeset|unset"
    return re.search(rf"\b{name}\b *(?:\+|:)?=|\(\(|\b(?:{builtins})\b", text) is not None
