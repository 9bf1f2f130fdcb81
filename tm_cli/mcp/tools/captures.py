"""Tools for recorded traffic: analyse a capture, and make profiles of its groups."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tm_cli.errors import UsageError
from tm_cli.mcp.schema import Effect, Tool, items, published, record, text, whole
from tm_cli.mcp.session import CallSession
from tm_cli.runtime.files import expand_home

if TYPE_CHECKING:
    from tm_cli.commands.captures.analysis import LocalCapture, RemoteCapture

CAPTURE_ROOT = "TM_MCP_CAPTURE_ROOT"
DEFAULT_ROOT = "~/.trafficmorph/captures"
SUFFIX = ".jsonl"


def capture_file(session: CallSession, written: str) -> Path:
    """Return a capture that may be sent to the server; raises UsageError for any other file.

    Only files below one directory may be: an assistant that was misled could otherwise
    send any file of this machine. Links are followed before that is decided.
    """
    root = expand_home(session.context.environ.get(CAPTURE_ROOT) or DEFAULT_ROOT, CAPTURE_ROOT)
    path = expand_home(written, "capture_path")
    try:
        if ".." in path.parts:
            raise UsageError(f"capture_path: {written!r} contains ..", hint="nothing was sent")
        allowed = root.resolve()
        found = (allowed / path).resolve(strict=True)
    except FileNotFoundError:
        raise _refusal(f"there is no capture {written!r}", root) from None
    except (OSError, RuntimeError, ValueError) as problem:
        raise _refusal(f"the path {written!r} cannot be read: {problem}", root) from None
    if not found.is_relative_to(allowed):
        raise _refusal(f"{written!r} is outside the directory for captures", root)
    if not found.is_file() or found.suffix.lower() != SUFFIX:
        raise _refusal(f"{written!r} is not a {SUFFIX} file", root)
    return found


def _refusal(problem: str, root: Path) -> UsageError:
    hint = f"captures are read from {root}; {CAPTURE_ROOT} names another directory"
    return UsageError(f"capture_path: {problem}", hint=f"{hint}; nothing was sent")


def analyse(session: CallSession, arguments: dict[str, Any]) -> Any:
    with _opened(session, arguments) as capture:
        return capture.analyse().document()


def import_capture(session: CallSession, arguments: dict[str, Any]) -> Any:
    with _opened(session, arguments) as capture:
        return capture.import_groups(_groups(arguments)).document()


def _opened(
    session: CallSession, arguments: dict[str, Any]
) -> AbstractContextManager[LocalCapture | RemoteCapture]:
    from tm_cli.commands.captures.analysis import opened

    return opened(session, str(capture_file(session, arguments["capture_path"])), None, None)


def list_sources(session: CallSession, arguments: dict[str, Any]) -> Any:
    return [source.document() for source in session.client.list_capture_sources()]


def list_files(session: CallSession, arguments: dict[str, Any]) -> Any:
    source, limit = arguments["source_id"], arguments.get("limit", 100)
    return [
        file.document() for file in session.client.list_capture_source_files(source, limit=limit)
    ]


def analyse_remote(session: CallSession, arguments: dict[str, Any]) -> Any:
    source, path = arguments["source_id"], arguments["path"]
    return session.client.analyse_remote_capture(source, path).document()


def import_remote(session: CallSession, arguments: dict[str, Any]) -> Any:
    source, path, groups = arguments["source_id"], arguments["path"], _groups(arguments)
    return session.client.import_remote_capture(source, path, groups).document()


def _groups(arguments: dict[str, Any]) -> Any:
    return arguments["selections"].get("groups", [])


CAPTURE_PATH = text(
    f"Path of a plain {SUFFIX} file below {DEFAULT_ROOT}, or the directory that {CAPTURE_ROOT} "
    "names.",
    longest=4096,
)
REMOTE = {
    "source_id": whole("Id of the source, from tm_list_capture_sources."),
    "path": text("The path, exactly as tm_list_capture_source_files returns it.", longest=4096),
}
SELECTIONS = record(
    "The groups that become profiles; none: nothing happens.",
    {
        "groups": items(
            "Groups of the analysis.",
            record(
                "One group.",
                {
                    "method": text("Method, exactly as in the analysis.", longest=16),
                    "urlSkeleton": text("urlSkeleton, exactly as in the analysis.", longest=8192),
                    "profileName": text("Name of the profile; left out, the server chooses."),
                },
                ("method", "urlSkeleton"),
                extra=True,
            ),
            most=10_000,
        )
    },
    extra=True,
)
_IMPORTED = (
    "A group with variables gets a variables set. A taken name gets (2), so that a repeated import "
    "makes copies. Returns createdProfiles, createdVariablesSetCount, skippedSelections and "
    "warnings."
)

CAPTURE_TOOLS: tuple[Tool, ...] = (
    published(
        "tm_analyse_capture",
        "Analyse a capture",
        "Analyse recorded traffic, a JSONL file of this machine that is sent to the server, which "
        "stores nothing. Returns stats and groups: method, URL skeleton with macros, rows, curve, "
        "variables, sample URLs.",
        Effect.READS,
        analyse,
        {"capture_path": CAPTURE_PATH},
        ("capture_path",),
    ),
    published(
        "tm_import_capture",
        "Import a capture",
        f"Make profiles of groups that tm_analyse_capture has found in the same file. {_IMPORTED}",
        Effect.CHANGES,
        import_capture,
        {"capture_path": CAPTURE_PATH, "selections": SELECTIONS},
        ("capture_path", "selections"),
    ),
    published(
        "tm_list_capture_sources",
        "List capture sources",
        "List the remote sources of captures (SFTP or S3) that are set up on the server: id, name, "
        "kind, root, when it was last listed, its last error.",
        Effect.READS,
        list_sources,
    ),
    published(
        "tm_list_capture_source_files",
        "List files of a capture source",
        "List the captures of a remote source, newest first: path, size in bytes (0 or -1: "
        "unknown) and time.",
        Effect.READS,
        list_files,
        {
            "source_id": REMOTE["source_id"],
            "limit": {**whole("How many files at most.", most=1000), "default": 100},
        },
        ("source_id",),
    ),
    published(
        "tm_analyse_remote_capture",
        "Analyse a remote capture",
        "Analyse a capture of a remote source, as tm_analyse_capture does. Nothing is stored.",
        Effect.READS,
        analyse_remote,
        REMOTE,
        ("source_id", "path"),
    ),
    published(
        "tm_import_remote_capture",
        "Import a remote capture",
        f"Make profiles of groups that tm_analyse_remote_capture has found. {_IMPORTED}",
        Effect.CHANGES,
        import_remote,
        {**REMOTE, "selections": SELECTIONS},
        ("source_id", "path", "selections"),
    ),
)
