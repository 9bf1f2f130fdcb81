"""`tm profiles new` without a source: a commented document to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tm_cli.backends.trafficmorph.profile_documents import portable
from tm_cli.cli.session import CommandContext
from tm_cli.commands.schema import schema_text
from tm_cli.commands.shared.output_files import require_free, write_output
from tm_cli.errors import UsageError
from tm_cli.setup.answers import name_from, read_name, read_rate, read_seconds, read_target
from tm_cli.setup.editor import SCHEMAS, modeline
from tm_cli.setup.starter import starter_text
from tm_cli.values.documents import parse_yaml
from tm_cli.values.text import sanitize


@dataclass(frozen=True, slots=True)
class Terms:
    """The options as they are written."""

    name: str | None
    target: str | None
    rate: str | None
    duration: str | None


def start(
    session: CommandContext,
    file: str | None,
    kind: str | None,
    given: Sequence[str],
    terms: Terms,
    output: Path | None,
    *,
    force: bool,
) -> int:
    """Print or write the document; raises UsageError for what only a source needs."""
    if kind is not None:
        raise UsageError(f"--from {kind} needs a FILE to read")
    if file is not None:
        raise UsageError(
            f"what is {sanitize(file)}? --from says it: har, curl, openapi or access-log",
            hint="`tm profiles new --output FILE.yaml` writes a document to start from",
        )
    if given:
        raise UsageError(f"{given[0]} needs --from and a FILE")
    text = _text(terms, output)
    portable(document := parse_yaml(text))
    if output is None:
        return session.emit(document, lambda: text.rstrip("\n"))
    if output.suffix.lower() not in {".yaml", ".yml"}:
        raise UsageError(f"--output: {output} does not end in .yaml; JSON has no comments")
    cwd = session.context.cwd
    require_free(cwd, output, force=force)
    write_output(cwd, output, text)
    schema = output.with_name(SCHEMAS["profile"])
    if not (cwd / schema).exists():
        write_output(cwd, schema, schema_text("profile"))
        session.note(f"tm: wrote {schema}, which editors read")
    session.note(f"tm: wrote {output}; `tm profiles check {output}` checks it")
    return session.emit(document, str) if session.wants_json else 0


def _text(terms: Terms, output: Path | None) -> str:
    try:
        url = read_target(terms.target or "http://localhost:8080/")
        usual = output.stem if output else name_from(url)
        return modeline("profile") + starter_text(
            read_name(terms.name or usual),
            url,
            read_rate(terms.rate or "20"),
            read_seconds(terms.duration or "1m"),
        )
    except ValueError as problem:
        raise UsageError(str(problem)) from None
