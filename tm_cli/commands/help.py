"""`tm help`: topics, and the help of commands."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from tm_cli.cli.app import App
from tm_cli.cli.session import Session, command
from tm_cli.commands.help_topics import TOPICS
from tm_cli.completion.candidates import Words, command_names, find_position
from tm_cli.errors import UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.render.tables import columns

app = App()


def complete_words(ctx: typer.Context) -> Words:
    """Complete a topic, or the words of a command after the ones before."""
    before = ctx.params.get("words") or []
    position = find_position(ctx.find_root().command, ctx.obj, before)
    if position is None:
        return []
    commands = command_names(position.ctx) if position.commands else []
    topics = [] if before else [(name, topic.summary) for name, topic in TOPICS.items()]
    return [*topics, *((item.value, item.note) for item in commands)]


@app.command("help")
@command
def help_(
    session: Session,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TOPIC|COMMAND]...",
            autocompletion=complete_words,
            help="A topic, or the words of a command.",
        ),
    ] = None,
) -> int:
    """Show help on a topic or a command; without arguments, list the topics.

    tm help exit-codes

    tm help runs start
    """
    if not words:
        return session.emit(_listed(), lambda: _list(session))
    if len(words) == 1 and (topic := TOPICS.get(words[0])) is not None:
        text = topic.text(session.terminal)
        return session.emit({"topic": words[0], "text": text}, lambda: text)
    return _show_command(session, words)


def _listed() -> dict[str, str]:
    return {name: topic.summary for name, topic in TOPICS.items()}


def _list(session: Session) -> str:
    table = columns(session.terminal, ("TOPIC", "WHAT IT EXPLAINS"), list(_listed().items()))
    return f"{table}\n\n`tm help TOPIC` prints one; `tm help runs start` is the help of a command."


def _show_command(session: Session, words: list[str]) -> int:
    """Print a command's own help; raises UsageError when the words name none."""
    node = session.tree
    for number, word in enumerate(words):
        inner = getattr(node, "commands", {})
        if word not in inner:
            raise _unknown(words[: number + 1], [*inner, *(TOPICS if number == 0 else ())])
        node = inner[word]
    if session.wants_json:
        return session.emit({"topic": " ".join(words), "text": node.help}, str)
    session.tree(
        args=[*words, "--help"], prog_name="tm", obj=session.context, standalone_mode=False
    )
    return int(ExitCode.OK)


def _unknown(words: list[str], known: list[str]) -> UsageError:
    near = difflib.get_close_matches(words[-1], known, n=1)
    guess = " ".join([*words[:-1], *near])
    return UsageError(
        f"unknown topic or command {' '.join(words)!r}",
        hint=f"did you mean `tm help {guess}`?" if near else "`tm help` lists the topics",
    )
