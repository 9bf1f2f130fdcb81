"""`tm completion`: scripts for shells, and what they ask while somebody types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.cli.session import Session, command
from tm_cli.completion.shells import SCRIPTS, Shell
from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tm_cli.completion.candidates import Candidate, Spot, Vocabulary
    from tm_cli.completion.shells import Typed

app = typer.Typer(add_completion=False)

_FLAGS = ("base_url", "api_key", "api_key_file", "context")


@app.command("completion")
@command
def completion(
    session: Session,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORDS]...", help="For the script: what has been typed so far."),
    ] = None,
) -> int:
    """Print the completion script of a shell; its first line says where it goes.

    tm completion bash
    """
    if not words:
        session.terminal.result(SCRIPTS[shell])
        return int(ExitCode.OK)
    try:
        session.terminal.result(_candidates(session, shell, words))
    except Exception:  # whoever types must not read about bugs between two keys
        session.terminal.result(":files")
    return int(ExitCode.OK)


def _candidates(session: Session, shell: Shell, words: Sequence[str]) -> str:
    from tm_cli.completion.candidates import complete
    from tm_cli.completion.shells import read_typed, write_answer

    typed = read_typed(shell, words)
    vocabulary = _vocabulary(session, typed)
    answer = complete(session.tree, typed.before, typed.current, vocabulary)
    return write_answer(shell, answer, typed, words)


def _vocabulary(session: Session, typed: Typed) -> Vocabulary:
    from tm_cli.completion.candidates import Candidate, Vocabulary
    from tm_cli.completion.profile_names import list_files

    return Vocabulary(
        words={
            "PROFILE": lambda spot: _profiles(session, spot, typed.current),
            "--context": lambda _spot: _contexts(session),
            "--report": lambda _spot: _formats(),
            "--base-url": lambda _spot: [Candidate("local", "The embedded server.")],
        },
        list_files=lambda current, endings: list_files(session.context.cwd, current, endings),
        list_topics=_topics,
    )


def _formats() -> list[Candidate]:
    from tm_cli.commands.shared.report_sinks import Format
    from tm_cli.completion.candidates import Candidate

    return [Candidate(f"{item.value}=") for item in Format]


def _topics() -> list[Candidate]:
    from tm_cli.commands.topics import TOPICS
    from tm_cli.completion.candidates import Candidate

    return [Candidate(name, topic.summary) for name, topic in TOPICS.items()]


def _profiles(session: Session, spot: Spot, current: str) -> list[Candidate]:
    from tm_cli.completion import profile_names

    given = {name: value for name, value in spot.given.items() if name in _FLAGS}
    asked = replace(session, flags={**session.flags, **given})
    try:
        source = profile_names.find_source(asked.settings, lambda: _data_dir(asked))
    except TmError:  # a broken file is for the command to tell
        return []
    if source is None:
        return []
    profiles = profile_names.read_profiles(session.context, source)
    return profile_names.profile_candidates(profiles, current)


def _data_dir(session: Session) -> Path:
    from tm_cli.cli.connections import data_dir

    return data_dir(session)


def _contexts(session: Session) -> list[Candidate]:
    from tm_cli.completion.candidates import Candidate

    try:
        return [Candidate(name) for name in sorted(session.settings.contexts)]
    except TmError:
        return []
