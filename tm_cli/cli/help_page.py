"""The layout of `--help`: sections of options with room for their text, examples as typed."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ARGUMENTS = "Arguments"
OPTIONS = "Options"
GATE = "Gate"
WAITING = "Waiting"
COMPARISON = "Comparison"
LOAD = "Load"
TARGET = "Target"
REPORTS = "Reports"
GLOBAL = "Global"

LONGEST_LINE = 100
SHORTEST_LINE = 40

_NOTES = re.compile(r"\s*\[([^\]]+)\]$")
"""The end of an option's help: its variable, its default, or both."""
_HARD_SPACE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class ParameterHelp:
    """What the help says about one option or argument."""

    spelling: str
    text: str
    variable: str = ""
    default: str = ""
    required: bool = False

    @property
    def full_text(self) -> str:
        """The text with its notes; short ones are not broken between lines."""
        notes = [
            f"[default: {self.default}]" if self.default else "",
            f"[env: {self.variable}]" if self.variable else "",
            "[required]" if self.required else "",
        ]
        kept = (n.replace(" ", _HARD_SPACE) if len(n) < 34 else n for n in notes if n)
        return " ".join([self.text, *kept])


def describe(parameter: Any) -> ParameterHelp:
    """Return what a Typer option or argument declares about itself."""
    notes = _NOTES.search(parameter.help or "")
    text = _NOTES.sub("", parameter.help or "")
    variable, default = _split_notes(notes[1] if notes else "")
    if choices := choices_of(parameter):
        text = f"{text.removesuffix('.')}: {_either(choices)}."
    if parameter.param_type_name == "argument":
        return ParameterHelp(value_name(parameter), text, variable, default)
    if not default and not parameter.is_flag and parameter.default not in (None, (), []):
        default = str(getattr(parameter.default, "value", parameter.default))
    return ParameterHelp(_spelling(parameter), text, variable, default, parameter.required)


def choices_of(parameter: Any) -> list[str]:
    """Return the words of a parameter that is declared with an enumeration."""
    descriptor = getattr(parameter, "type_descriptor", None)
    return [str(getattr(word, "value", word)) for word in getattr(descriptor, "choices", ()) or ()]


def value_name(parameter: Any) -> str:
    """Return the name of a parameter's value, as the usage line has it."""
    if parameter.metavar:
        return str(parameter.metavar)
    return "N" if isinstance(parameter.default, int) else str(parameter.name).upper()


def usage(path: str, command: Any) -> str:
    """Return the usage line of a command."""
    if hasattr(command, "commands"):
        return f"{path} COMMAND [OPTIONS]"
    arguments = [value_name(item) for item in command.params if item.param_type_name == "argument"]
    required = [
        f"{item.opts[0]} {value_name(item)}"
        for item in command.params
        if item.param_type_name == "option" and item.required
    ]
    return " ".join([path, *arguments, *required, "[OPTIONS]"])


def paragraphs(command: Any) -> tuple[list[str], list[str]]:
    """Return the paragraphs of a command's help, and the command lines of its examples."""
    texts = [text.rstrip() for text in (command.help or "").split("\n\n") if text.strip()]
    examples = [text.strip() for text in texts if text.lstrip().startswith("tm ")]
    return [text for text in texts if not text.lstrip().startswith("tm ")], examples


@dataclass(frozen=True, slots=True)
class Summary:
    """A command in the list of its group."""

    name: str
    text: str
    section: str = "Commands"


class HelpPage:
    """The help of a command, as lines of at most `width` columns."""

    def __init__(self, width: int, *, bold: bool = False) -> None:
        self._width = max(SHORTEST_LINE, min(width, LONGEST_LINE))
        self._bold = bold
        self._lines: list[str] = []

    def render(self, path: str, command: Any, commands: Sequence[Summary]) -> str:
        """Return the page; `commands` are those of a group."""
        texts, examples = paragraphs(command)
        self._wrap(f"Usage: {usage(path, command)}", indent=7)
        for text in texts:
            self._lines.append("")
            self._wrap(text)
        sections = _sections(command, commands)
        names = [name for rows in sections.values() for name, _ in rows]
        column = max(len(name) for name in names if len(name) <= self._width // 3 + 1) + 4
        for heading, rows in sections.items():
            self._section(heading, rows, column)
        if examples:
            self._lines += ["", self._heading("Examples"), *(f"  {line}" for line in examples)]
        if commands:
            self._lines += ["", f"`{path} COMMAND --help` describes a command and its options."]
        return "\n".join(self._lines)

    def _section(self, heading: str, rows: list[tuple[str, str]], column: int) -> None:
        self._lines += ["", self._heading(heading)]
        for name, text in rows:
            lines = _wrapped(text, self._width - column) or [""]
            if len(name) + 4 > column:
                self._lines.append(f"  {name}")
            else:
                self._lines.append(f"  {name:<{column - 2}}{lines.pop(0)}".rstrip())
            self._lines += [f"{'':{column}}{line}" for line in lines]

    def _wrap(self, text: str, indent: int = 0) -> None:
        """Add a paragraph; one that is indented stays as it is."""
        if text.startswith(" "):
            self._lines += text.splitlines()
            return
        self._lines += _wrapped(text, self._width, indent)

    def _heading(self, text: str) -> str:
        return f"\x1b[1m{text}:\x1b[0m" if self._bold else f"{text}:"


def _sections(command: Any, commands: Sequence[Summary]) -> dict[str, list[tuple[str, str]]]:
    """Return commands, arguments and options under their headings, the global options last."""
    found: dict[str, list[tuple[str, str]]] = {}
    if not commands:
        found = {ARGUMENTS: [], OPTIONS: []}
    for item in commands:
        found.setdefault(item.section, []).append((item.name, item.text))
    for parameter in command.params:
        if parameter.param_type_name == "argument" or not parameter.hidden:
            shown = describe(parameter)
            found.setdefault(_section_of(parameter), []).append((shown.spelling, shown.full_text))
    last = found.pop(GLOBAL, [])
    found[GLOBAL if last else OPTIONS] = [
        *(last or found.pop(OPTIONS, [])),
        ("-h, --help", "Show this help and exit."),
    ]
    return {heading: rows for heading, rows in found.items() if rows}


def _wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    lines = textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(_HARD_SPACE, " ") for line in lines]


def _section_of(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return ARGUMENTS
    return getattr(parameter, "rich_help_panel", None) or OPTIONS


def _spelling(option: Any) -> str:
    """`-o, --output FILE`; the first of several long spellings, `--[no-]github` for a pair."""
    short = [name for name in option.opts if not name.startswith("--")]
    long = [name for name in option.opts if name.startswith("--")][:1]
    if option.secondary_opts:
        long = [f"--[no-]{name.removeprefix('--')}" for name in long]
    names = ", ".join([*short, *long])
    return names if option.is_flag else f"{names} {value_name(option)}"


def _split_notes(notes: str) -> tuple[str, str]:
    """Split variable and default; a default may have commas of its own."""
    if not notes.startswith("TM_"):
        return "", notes
    variable, _, default = notes.partition(",")
    return variable.strip(), default.strip()


def _either(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
