"""`tm profiles check`: what is wrong with documents, without a server."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tm_cli.backends.documents import Problem
from tm_cli.backends.trafficmorph.locustfiles import names_locustfile
from tm_cli.backends.trafficmorph.profile_documents import SUFFIXES, examine_file
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.profile_argument import near_document
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.values.text import count_of, folded_name, sanitize


@dataclass(frozen=True, slots=True)
class Examined:
    """A file, what can be read of its document, and what is wrong."""

    file: str
    document: Mapping[str, Any]
    problems: Sequence[Problem]

    @property
    def name(self) -> str | None:
        name = self.document.get("name")
        return name if isinstance(name, str) else None

    def data(self) -> dict[str, Any]:
        problems = list(map(problem_data, self.problems))
        return {"file": self.file, "name": self.name, "problems": problems}

    def lines(self) -> Iterator[str]:
        """Each problem as `file:line:column: message`, as editors and CI systems find it."""
        for each in self.problems:
            place = ":".join(str(part) for part in (each.line, each.column) if part)
            yield f"{sanitize(self.file)}:{place}{':' * bool(place)} {sanitize(each.message)}"


def check(session: CommandContext, paths: Sequence[str], *, recursive: bool) -> int:
    """Print all problems of all files; 78 where there are any."""
    examined = examine(session.context.cwd, paths, recursive=recursive)
    data = {"files": [each.data() for each in examined]}
    return session.emit(data, lambda: _text(examined), error=error_of(examined))


def error_of(examined: Sequence[Examined], ending: str = "") -> ConfigurationError | None:
    """Return the error that counts the problems, None without any."""
    count = sum(len(each.problems) for each in examined)
    if not count:
        return None
    bad = sum(1 for each in examined if each.problems)
    files = f"{bad} of {len(examined)} files" if len(examined) > 1 else "the document"
    return ConfigurationError(f"{count_of(count, 'problem')} in {files}{ending}")


def problem_data(problem: Problem) -> dict[str, Any]:
    return {
        "line": problem.line,
        "column": problem.column,
        "key": problem.key,
        "message": sanitize(problem.message),
    }


def _text(examined: Sequence[Examined]) -> str:
    lines = [line for each in examined for line in each.lines() or ()]
    good = [f"{sanitize(each.file)}: ok" for each in examined if not each.problems]
    return "\n".join([*lines, *good])


def examine(cwd: Path, paths: Sequence[str], *, recursive: bool) -> list[Examined]:
    """Read all documents that the paths name; two that describe one profile are a problem.

    Raises ConfigurationError for a path that names none.
    """
    found = [_examine(cwd, file) for file in find_documents(cwd, paths, recursive=recursive)]
    return list(_named_once(found))


def _examine(cwd: Path, file: str) -> Examined:
    document, problems = examine_file(cwd / file)
    return Examined(file, document, problems)


def _named_once(examined: Sequence[Examined]) -> Iterator[Examined]:
    first: dict[str, str] = {}
    for each in examined:
        if each.name is None:
            yield each
            continue
        other = first.setdefault(folded_name(each.name), each.file)
        if other == each.file:
            yield each
        else:
            said = f"name {sanitize(each.name)!r} is also that of {other}"
            yield replace(each, problems=[*each.problems, Problem(said, key="name")])


def find_documents(cwd: Path, paths: Sequence[str], *, recursive: bool) -> list[str]:
    """Return the files that paths name, each once: those in a directory end in .json or .yaml.

    Hidden files and directories do not count.
    """
    found: dict[str, None] = {}
    for path in paths:
        if names_locustfile(path):
            raise UsageError(f"{sanitize(path)} is a locustfile; a profile document names it")
        if (cwd / path).is_dir():
            inside = _files_in(cwd / path, recursive=recursive)
            files = [(Path(path) / file).as_posix() for file in inside]
            if not files:
                deeper = "" if recursive else "; --recursive looks into its directories"
                raise ConfigurationError(
                    f"{sanitize(path)} has no profile document (.yaml, .yml or .json){deeper}"
                )
            found |= dict.fromkeys(files)
        elif os.path.lexists(cwd / path):
            found[path] = None
        else:
            near = near_document(cwd / path)
            hint = near if near.startswith("did you mean") else None
            raise ConfigurationError(f"{sanitize(path)} does not exist", hint=hint)
    return list(found)


def _files_in(directory: Path, *, recursive: bool) -> Iterator[str]:
    def refuse(problem: OSError) -> None:
        raise ConfigurationError(f"cannot read {problem.filename}: {problem.strerror}") from None

    for place, directories, names in os.walk(directory, onerror=refuse):
        directories[:] = sorted(name for name in directories if recursive and name[0] != ".")
        for name in sorted(names):
            if name[0] != "." and Path(name).suffix.lower() in SUFFIXES:
                yield str((Path(place) / name).relative_to(directory))
