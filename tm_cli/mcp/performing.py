"""One call, start to end, in its own thread: arguments in, structured result out."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.mcp.arguments import read
from tm_cli.mcp.call_results import as_structure
from tm_cli.mcp.call_session import CallSession
from tm_cli.mcp.tool import Tool
from tm_cli.render.machine import error_document
from tm_cli.signals import SignalReceived


def perform(
    tool: Tool, arguments: Mapping[str, Any], session: CallSession
) -> dict[str, Any] | None:
    """Return the structured result; None when the call was cancelled before it had one."""
    try:
        document = _document(tool, arguments, session)
    except SignalReceived:
        return None
    finally:
        session.close()
    if document["data"] is None and arguments.get("fail_on_verdict") is not None:
        document["data"] = {"verdict": None, "fail_on_match": True}  # not shown to be satisfied
    messages = session.messages()
    if error := document["error"]:
        told = {error["message"], error["hint"], f"hint: {error['hint']}"}
        messages = [message for message in messages if message not in told]
    return as_structure(document, messages, is_gate=tool.is_gate, keys=session.keys())


def unknown_outcome() -> dict[str, Any]:
    """Return the result of a call that ended without any; it is no success."""
    error = TmError("the call ended without an outcome", code="internal")
    error.exit_code = ExitCode.INTERNAL
    return as_structure(error_document(error), [], is_gate=False)


def _document(tool: Tool, arguments: Mapping[str, Any], session: CallSession) -> dict[str, Any]:
    try:
        code = tool.perform(session, read(arguments, tool.schema))
        return session.document(code)
    except TmError as error:
        return error_document(error)
    except Exception as error:  # a bug; left alone, the protocol library would tell its text
        return _bug(error, session)


def _bug(error: Exception, session: CallSession) -> dict[str, Any]:
    """Tell where it happened in the log; the text of the error may hold anything."""
    if session.log is not None:
        for line in traceback.format_tb(error.__traceback__):
            session.log.note(line.rstrip())
    shown = TmError(f"internal error: {type(error).__name__}", code="internal")
    shown.exit_code = ExitCode.INTERNAL
    shown.hint = "this is a bug in tm; please report it with the lines in its log"
    return error_document(shown)
