"""`tm profiles export`: one profile, or a directory that `tm profiles apply` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.output_files import write_output
from tm_cli.errors import OutputError, TmError, UsageError
from tm_cli.setup.answers import stem
from tm_cli.values.text import sanitize

SUFFIXES = (".json", ".yaml", ".yml")


def export(session: CommandContext, profile_id: int, output: Path | None) -> int:
    """Print a document, or write it to a file."""
    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--output: {output} ends neither in .json nor in .yaml")
    document = session.client.export_profile(profile_id)
    if output is None:
        from tm_cli.render.formats.json_document import to_json

        session.terminal.write_result(to_json(document))
        return 0
    write_output(session.context.cwd, output, _serialised(document, output))
    session.note(f"tm: wrote {output}")
    return 0


def export_all(session: CommandContext, directory: Path, *, force: bool) -> int:
    """Write each profile to a file of its name; nothing is written if one would be lost."""
    place = session.context.cwd / directory
    if place.exists() and not place.is_dir():
        raise UsageError(f"--output: {directory} is not a directory")
    profiles = sorted(session.client.list_profiles(), key=lambda each: each.id)
    files: dict[str, str] = {}
    for each in profiles:
        document = session.client.export_profile(each.id)
        name = f"{stem(each.name)}.yaml"
        while name in files:
            name = f"{name.removesuffix('.yaml')}-{each.id}.yaml"
        files[name] = _serialised(document, Path(name))
    taken = [name for name in files if _is_other(place / name, files[name])]
    if taken and not force:
        raise OutputError(
            f"{sanitize(directory / taken[0])} exists already and differs; nothing was written",
            hint="--force overwrites it",
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(f"cannot make {directory}: {problem.strerror}") from None
    for name, text in files.items():
        write_output(session.context.cwd, directory / name, text)
    names = [(directory / name).as_posix() for name in files]
    return session.emit(
        {"files": names}, lambda: "\n".join(f"wrote {sanitize(name)}" for name in names)
    )


def _is_other(path: Path, text: str) -> bool:
    """Whether a file with another content is there."""
    if not path.exists():
        return False
    try:
        return path.read_bytes() != text.encode()
    except OSError as problem:
        raise TmError(f"cannot read {path}: {problem.strerror}") from None


def _serialised(document: dict[str, Any], path: Path) -> str:
    if path.suffix.lower() in {".yaml", ".yml"}:
        from tm_cli.values.documents import to_yaml

        return to_yaml(document)
    return json.dumps(document, indent=2) + "\n"
