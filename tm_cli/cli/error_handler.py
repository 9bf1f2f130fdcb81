"""Turns errors into messages and exit codes; the only place that does."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from tm_cli.errors import ConfigurationError, TmError, UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.signals import SignalReceived, lost_signal, signals_raised
from tm_cli.values.text import sanitize


def run_guarded(arguments: Sequence[str], context: Environment | None) -> int:
    """Run the command line; whatever is raised becomes a message and an exit code."""
    with signals_raised(restore=context is not None):
        try:
            return _run(arguments, context) if context else _run_here(arguments)
        except SignalReceived as signal:  # during start-up, before anything could be done
            return 128 + signal.number


def _run_here(arguments: Sequence[str]) -> int:
    try:
        context = Environment.system()
    except OSError as problem:
        if arguments and "--" not in arguments and arguments[-1] == "--help":
            return _run(arguments, Environment.system(Path(os.sep)))
        error = ConfigurationError(
            f"cannot use the current directory: {problem.strerror}",
            hint="it may have been deleted; change to another one",
        )
        return _report(error, arguments, Environment.system(Path(os.sep)))
    return _run(arguments, context)


def _run(arguments: Sequence[str], context: Environment) -> int:
    try:
        return _invoke(arguments, context)
    except TmError as error:
        return _report(error, arguments, context)
    except SignalReceived as signal:
        return _report(signal.as_error("interrupted", signal.hint), arguments, context)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            return _report_bug(error, arguments, context)
        return _report(UsageError("a path is too long for this system"), arguments, context)
    except Exception as error:  # a bug; left alone, Python would exit with 1
        if isinstance(error, ImportError) and (lost := lost_signal()):
            return _report(lost.as_error("interrupted"), arguments, context)
        return _report_bug(error, arguments, context)


def _invoke(arguments: Sequence[str], context: Environment) -> int:
    from tm_cli.cli.root import root_command

    try:
        code = root_command()(
            args=list(arguments), prog_name="tm", obj=context, standalone_mode=False
        )
    except typer.TyperException as problem:
        raise _usage_error(problem) from None
    except typer.Abort:
        raise UsageError("nothing was entered") from None
    except SystemExit as stop:  # completion leaves like this
        code = stop.code
    return ExitCode.OK if code is None else int(code)


_UNEXPECTED = ("Got unexpected extra argument", "No such command")


def _usage_error(problem: typer.TyperException) -> UsageError:
    """Return a usage error of one line, with a hint at the help."""
    command_context = getattr(problem, "ctx", None)
    path = command_context.command_path if command_context is not None else "tm"
    message = problem.format_message().strip() or "a command is missing"
    if path.startswith("tm auth") and message.startswith(_UNEXPECTED) and "mean" not in message:
        return UsageError(
            f"{path}: unexpected argument; it is not shown, because it may be a key",
            hint="enter the key at the prompt, or pipe it: tm auth login < FILE",
        )
    return UsageError(message.removesuffix("."), hint=f"`{path} --help` describes its options")


def _report(error: TmError, arguments: Sequence[str], context: Environment) -> int:
    from tm_cli.cli.app import JSON_FLAGS

    if not JSON_FLAGS.isdisjoint(arguments):
        from tm_cli.render.formats.json_document import error_document, to_json

        document = error_document(error)
        for part in ("message", "hint"):
            text = document["error"][part]
            document["error"][part] = text and _without_keys(text, context.environ)
        context.terminal.write_result(to_json(document))
    explain(error, context)
    named = error.request_id
    if named and named not in error.message and {"-v", "--verbose"} & set(arguments):
        context.terminal.write_line(f"request id: {named}")
    return int(error.exit_code)


def explain(error: TmError, context: Environment) -> None:
    """Print the message and the hint to standard error."""
    context.terminal.write_line(f"tm: {_shown(error.message, context)}")
    if error.hint:
        hint = _shown(error.hint, context, longest=LONGEST_HINT)
        context.terminal.write_line(f"hint: {hint}")


LONGEST_HINT = 2000
"""Characters: a hint may list all that would be valid."""


def _shown(text: str, context: Environment, **limits: int) -> str:
    """Remove keys before a long text is cut, which could leave a part of one, and afterwards."""
    return _without_keys(sanitize(_without_keys(text, context.environ), **limits), context.environ)


def _report_bug(error: Exception, arguments: Sequence[str], context: Environment) -> int:
    import traceback

    message = _without_keys(f"{type(error).__name__}: {error}", context.environ)
    shown = TmError(f"internal error: {message}", code="internal")
    shown.exit_code = ExitCode.INTERNAL
    shown.hint = "this is a bug in tm; please report it with the lines above"
    for line in traceback.format_tb(error.__traceback__):
        context.terminal.write_line(_without_keys(line.rstrip(), context.environ))
    return _report(shown, arguments, context)


def _without_keys(text: str, environ: Mapping[str, str]) -> str:
    from tm_cli.values.api_key import KEY_VARIABLES, hide

    for variable in KEY_VARIABLES:
        text = hide(text, environ.get(variable, "").strip())
    return text
