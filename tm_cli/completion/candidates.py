"""Where in the command tree a line ends; pure but for the imports of the commands it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tm_cli.gate.verdict import GATED


@dataclass
class Spot:
    """The command so far, its options, and what the next word would be.

    `given` has the values of options by their names, `arguments` the words that were arguments,
    `awaits` the option whose value comes next. `only_arguments` is true after `--`.
    """

    node: Any
    given: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    awaits: Any = None
    only_arguments: bool = False

    @property
    def commands(self) -> Mapping[str, Any]:
        """The commands that may follow."""
        found: Mapping[str, Any] = getattr(self.node, "commands", {})
        return found

    @property
    def options(self) -> dict[str, Any]:
        """The options of the command by their spellings."""
        options = [item for item in self.node.params if item.param_type_name == "option"]
        return {name: item for item in options for name in (*item.opts, *item.secondary_opts)}

    @property
    def argument(self) -> Any:
        """The argument that comes next, None when there are enough."""
        declared = [item for item in self.node.params if item.param_type_name == "argument"]
        if declared and declared[-1].nargs == -1:
            return declared[min(len(self.arguments), len(declared) - 1)]
        return declared[len(self.arguments)] if len(self.arguments) < len(declared) else None

    def takes_option(self, word: str) -> bool:
        """Whether a word is an option here, and not an argument."""
        return word.startswith("-") and not self.only_arguments


def find_spot(root: Any, words: Sequence[str]) -> Spot | None:
    """Follow complete words from the root of the tree; None when they name no command."""
    spot = Spot(root)
    for word in words:
        if spot.awaits is not None:
            spot.given[spot.awaits.name] = word
            spot.awaits = None
        elif word == "--" and not spot.only_arguments:
            spot.only_arguments = True
        elif spot.takes_option(word):
            _take_option(spot, word)
        elif not spot.commands:
            spot.arguments.append(word)
        elif word in spot.commands:
            spot.node = spot.commands[word]
        else:
            return None
    return spot


def _take_option(spot: Spot, word: str) -> None:
    name, has_value, value = word.partition("=")
    option = spot.options.get(name)
    if option is None or option.is_flag:
        return
    if has_value:
        spot.given[option.name] = value
    else:
        spot.awaits = option


@dataclass(frozen=True, slots=True)
class Candidate:
    """A whole word that may stand at the cursor, and a few words about it."""

    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The candidates; where there are none and `files` is true, the shell may offer files."""

    candidates: tuple[Candidate, ...] = ()
    files: bool = False


Words = Callable[[Spot], Sequence[Candidate]]
Files = Callable[[str, Sequence[str]], Sequence[Candidate]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the tree does not know: words by metavariable or option, and files by their endings."""

    words: Mapping[str, Words]
    list_files: Files
    list_topics: Callable[[], Sequence[Candidate]]


DOCUMENTS = (".yaml", ".yml", ".json")
_PROFILES = "PROFILE"
_FILES = {"FILE", "DIR", "PATH", "FILE|JSON"}
_LIST = re.compile(r"(?:^|: )([\w-]+(?:, [\w-]+)* or [\w-]+)(?:[.;]|$)")


def complete(root: Any, before: Sequence[str], current: str, vocabulary: Vocabulary) -> Answer:
    """Return what may stand at the cursor after the words `before` it."""
    spot = find_spot(root, before)
    if spot is None:
        return Answer()
    if spot.awaits is not None:
        return _values(spot, spot.awaits, current, vocabulary)
    if spot.takes_option(current):
        name, has_value, value = current.partition("=")
        option = spot.options.get(name)
        if not has_value:
            return _matching(_option_names(spot), current)
        if option is None or option.is_flag:
            return Answer()
        answer = _values(spot, option, value, vocabulary)
        return Answer(
            tuple(Candidate(f"{name}={item.value}", item.note) for item in answer.candidates),
            answer.files,
        )
    if spot.commands:
        return _matching(_command_names(spot), current)
    if getattr(spot.node, "name", "") == "help":
        return _help_words(root, spot, current, vocabulary)
    return Answer() if spot.argument is None else _values(spot, spot.argument, current, vocabulary)


def _values(spot: Spot, parameter: Any, current: str, vocabulary: Vocabulary) -> Answer:
    metavar = (parameter.metavar or "").strip("[]").removesuffix("...")
    if choices := _choices(parameter):
        return _matching(choices, current)
    if metavar == "VERDICTS":
        return _matching(_verdicts(current), current)
    if metavar == "FORMAT=FILE" and "=" in current:
        name, _, file = current.partition("=")
        found = vocabulary.list_files(file, ())
        return Answer(tuple(Candidate(f"{name}={item.value}") for item in found), files=True)
    words = _known(vocabulary, parameter, metavar)
    if metavar == _PROFILES:
        found = [*(words(spot) if words else ()), *vocabulary.list_files(current, DOCUMENTS)]
        return Answer(_matching(found, current).candidates, files=True)
    if words is not None:
        return _matching(words(spot), current)
    if metavar in _FILES:
        return Answer(tuple(vocabulary.list_files(current, ())), files=True)
    return _matching(_listed(parameter), current)


def _choices(parameter: Any) -> list[Candidate]:
    """The words of a parameter that is declared with an Enum."""
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [Candidate(str(item.value)) for item in kind]
    return []


def _listed(parameter: Any) -> list[Candidate]:
    """The words of a parameter whose help lists them: `table, json or markdown.`"""
    found = _LIST.search(parameter.help or "")
    return [Candidate(word) for word in re.split(", | or ", found[1])] if found else []


def _known(vocabulary: Vocabulary, parameter: Any, metavar: str) -> Words | None:
    for name in (*parameter.opts, metavar):
        if name in vocabulary.words:
            return vocabulary.words[name]
    return None


def _matching(candidates: Sequence[Candidate], current: str) -> Answer:
    unique = {item.value: item for item in reversed(candidates) if item.value.startswith(current)}
    return Answer(tuple(item for item in candidates if unique.get(item.value) is item))


def _option_names(spot: Spot) -> list[Candidate]:
    found = [
        Candidate(name, _first_line(item.help))
        for name, item in spot.options.items()
        if name.startswith("--") and not item.hidden and not _is_used_up(spot, item)
    ]
    return [*found, Candidate("--help", "Show the help and exit.")]


def _is_used_up(spot: Spot, option: Any) -> bool:
    return option.name in spot.given and not option.multiple


def _command_names(spot: Spot) -> list[Candidate]:
    entries = getattr(spot.node, "entries", {})  # the root knows its summaries without imports
    if entries:
        return [Candidate(name, entry.summary) for name, entry in entries.items()]
    return [
        Candidate(name, _first_line(node.help))
        for name, node in spot.commands.items()
        if not node.hidden
    ]


def _help_words(root: Any, spot: Spot, current: str, vocabulary: Vocabulary) -> Answer:
    """Topics, or the words of a command."""
    inner = find_spot(root, spot.arguments)
    if inner is None:
        return Answer()
    topics = [] if spot.arguments else vocabulary.list_topics()
    return _matching([*topics, *(_command_names(inner) if inner.commands else [])], current)


def _verdicts(current: str) -> list[Candidate]:
    """Each verdict once, after those that are there already."""
    *there, _ = current.split(",")
    used = {word.strip().upper() for word in there}
    head = ",".join([*there, ""])
    return [Candidate(head + verdict.value) for verdict in GATED if verdict.value not in used]


def _first_line(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())
