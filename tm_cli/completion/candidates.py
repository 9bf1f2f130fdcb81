"""What fits at the end of a command line: from the command tree and the options' completers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tm_cli.completion import Candidate
from tm_cli.errors import TmError
from tm_cli.runtime.environment import Environment

if TYPE_CHECKING:
    from tm_cli.completion.profile_names import CachedProfile
    from tm_cli.settings import Settings

Words = list[str | tuple[str, str]]
"""What Typer expects of a completer: words, or words with a note."""

_SERVER_FLAGS = ("base_url", "api_key", "api_key_file", "context")

MOST_FILES = 200
DOCUMENTS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Completions:
    """The candidates; where there are none and `files` is true, the shell may offer files."""

    candidates: tuple[Candidate, ...] = ()
    files: bool = False


@dataclass
class CursorPosition:
    """The command and values that the complete words before the cursor give.

    `awaits` is the option whose value comes next; `only_arguments` is true after `--`.
    """

    ctx: typer.Context
    arguments: list[str] = field(default_factory=list)
    awaits: Any = None
    only_arguments: bool = False

    @property
    def commands(self) -> Mapping[str, Any]:
        """The commands that may follow."""
        return getattr(self.ctx.command, "commands", {})

    @property
    def options(self) -> dict[str, Any]:
        """The options of the command by their spellings."""
        params = [item for item in self.ctx.command.params if item.param_type_name == "option"]
        return {name: item for item in params for name in (*item.opts, *item.secondary_opts)}

    @property
    def argument(self) -> Any:
        """The argument that comes next, None when there are enough."""
        declared = [item for item in self.ctx.command.params if item.param_type_name == "argument"]
        if declared and declared[-1].nargs == -1:
            return declared[min(len(self.arguments), len(declared) - 1)]
        return declared[len(self.arguments)] if len(self.arguments) < len(declared) else None

    def take(self, word: str) -> bool:
        """Go on after a complete word; return False where it names no command."""
        if self.awaits is not None:
            self.ctx.params[self.awaits.name] = word
            self.awaits = None
        elif word == "--" and not self.only_arguments:
            self.only_arguments = True
        elif word.startswith("-") and not self.only_arguments:
            self._take_option(word)
        elif not self.commands:
            self.arguments.append(word)
        elif word in self.commands:
            self.ctx = typer.Context(self.commands[word], parent=self.ctx, info_name=word)
        else:
            return False
        return True

    def _take_option(self, word: str) -> None:
        name, has_value, value = word.partition("=")
        option = self.options.get(name)
        if option is None or option.is_flag:
            return
        if has_value:
            self.ctx.params[option.name] = value
        else:
            self.awaits = option


def find_position(
    root: Any, environment: Environment, words: Sequence[str]
) -> CursorPosition | None:
    """Follow complete words from the root of the tree; None when they name no command."""
    position = CursorPosition(typer.Context(root, info_name="tm", obj=environment))
    return position if all(position.take(word) for word in words) else None


def complete(
    root: Any, environment: Environment, before: Sequence[str], current: str
) -> Completions:
    """Return what can be inserted at the cursor after the words `before` it."""
    position = find_position(root, environment, before)
    if position is None:
        return Completions()
    if position.awaits is not None:
        return _values(position, position.awaits, current)
    if current.startswith("-") and not position.only_arguments:
        name, has_value, value = current.partition("=")
        option = position.options.get(name)
        if not has_value:
            return _matching(_option_names(position), current)
        if option is None or option.is_flag:
            return Completions()
        found = _values(position, option, value)
        whole = (Candidate(f"{name}={item.value}", item.note) for item in found.candidates)
        return Completions(tuple(whole), found.files)
    if position.commands:
        return _matching(command_names(position.ctx), current)
    argument = position.argument
    return Completions() if argument is None else _values(position, argument, current)


def command_names(ctx: typer.Context) -> list[Candidate]:
    """Return the commands of a group, without importing them."""
    group: Any = ctx.command
    return [Candidate(item.name, item.text) for item in group.summaries(ctx)]


def list_files(cwd: Path, current: str, endings: Sequence[str] = ()) -> list[Candidate]:
    """Return what begins like `current`: directories, and files with one of the `endings`, or any.

    Hidden ones only after a dot. Paths from the home directory are left to the shell.
    """
    folder, separator, begun = current.rpartition("/")
    if current.startswith("~"):
        return []
    try:
        there = sorted(Path(cwd, folder + separator).iterdir())
    except (OSError, ValueError):
        return []
    found = []
    for path in there:
        if path.name.startswith(begun) and (begun or not path.name.startswith(".")):
            name = f"{folder}{separator}{path.name}"
            if path.is_dir():
                found.append(Candidate(name + "/"))
            elif not endings or path.name.endswith(tuple(endings)):
                found.append(Candidate(name))
    return found[:MOST_FILES]


def complete_profiles(ctx: typer.Context, incomplete: str) -> Words:
    """Names of the configured server's profiles, and profile documents."""
    found = [(item.value, item.note) for item in _profiles(ctx, incomplete)]
    files = list_files(ctx.obj.cwd, incomplete, DOCUMENTS)
    return [*found, *((item.value, item.note) for item in files)]


def complete_contexts(ctx: typer.Context) -> Words:
    """Contexts of the settings files."""
    try:
        return sorted(_settings(ctx).contexts)
    except TmError:
        return []


def complete_servers() -> Words:
    """The embedded server; other servers have URLs only."""
    return [("local", "The embedded server.")]


def complete_verdicts(incomplete: str) -> Words:
    """Each verdict once, after those already in the list."""
    from tm_cli.values.verdict import GATED

    *there, _ = incomplete.split(",")
    used = {word.strip().upper() for word in there}
    head = ",".join([*there, ""])
    return [head + verdict.value for verdict in GATED if verdict.value not in used]


def _values(position: CursorPosition, parameter: Any, current: str) -> Completions:
    """Candidates of a parameter: its completer's or its choices, else files where it names one."""
    ctx = position.ctx
    if parameter.param_type_name == "argument":
        ctx.params[parameter.name] = position.arguments
    found = [
        Candidate(str(item.value), item.help or "")
        for item in parameter.shell_complete(ctx, current)
    ]
    metavar = (parameter.metavar or "").strip("[]").removesuffix("...")
    files = metavar in {"FILE", "DIR", "PATH", "FILE|JSON"}
    if files:
        found = list_files(ctx.obj.cwd, current)
    return Completions(
        _matching(found, current).candidates, files or metavar in {"PROFILE", "FORMAT=FILE"}
    )


def _option_names(position: CursorPosition) -> list[Candidate]:
    given = position.ctx.params
    found = [
        Candidate(name, (item.help or "").partition(" [")[0])
        for name, item in position.options.items()
        if name.startswith("--") and not item.hidden and (item.multiple or item.name not in given)
    ]
    return [*found, Candidate("--help", "Show this help and exit.")]


def _matching(candidates: Sequence[Candidate], current: str) -> Completions:
    unique = {item.value: item for item in reversed(candidates) if item.value.startswith(current)}
    return Completions(tuple(item for item in candidates if unique.get(item.value) is item))


def _profiles(ctx: typer.Context, incomplete: str) -> list[Candidate]:
    from tm_cli.completion import profile_names

    settings = _settings(ctx)
    try:
        source = profile_names.find_source(settings, lambda: settings.find_data_dir(ctx.obj.cwd))
    except TmError:  # the command itself will report a broken file
        return []
    if source is None:
        return []
    return profile_candidates(profile_names.read_profiles(ctx.obj, source), incomplete)


def profile_candidates(profiles: list[CachedProfile], current: str) -> list[Candidate]:
    """Return names, or the id of a profile whose name cannot be typed or would be misread."""
    from tm_cli.completion.profile_names import is_typable
    from tm_cli.values.text import sanitize

    found = [
        Candidate(item.name, f"profile {item.number}")
        if is_typable(item.name)
        else Candidate(str(item.number), sanitize(item.name))
        for item in profiles
    ]
    if current.isdigit():
        found += [Candidate(str(item.number), sanitize(item.name)) for item in profiles]
    return found


def _settings(ctx: typer.Context) -> Settings:
    """The settings with the options for server and key, of the command and its groups."""
    from tm_cli.settings import load_settings

    flags: dict[str, Any] = {}
    inner: Any = ctx
    while inner is not None:
        given = {name: inner.params[name] for name in _SERVER_FLAGS if name in inner.params}
        flags = {**given, **flags}
        inner = inner.parent
    environment = ctx.obj
    return load_settings(
        flags,
        environment.environ,
        cwd=environment.cwd,
        user_dir=environment.find_user_dir(),
    )
