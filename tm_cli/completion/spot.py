"""Where in the command tree a line ends; pure but for the imports of the commands it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


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
