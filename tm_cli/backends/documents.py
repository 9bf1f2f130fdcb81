"""Files in JSON or YAML that describe a profile, a run or a job."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from tm_cli.api import strict_json
from tm_cli.errors import ConfigurationError
from tm_cli.values.text import sanitize

T = TypeVar("T")


def read_document(
    path: Path, kind: str, check: Callable[[Any], T], *, hint: str | None = None
) -> T:
    """Return what `check` makes of the document in a file, whose `kind` is for messages.

    Raises ConfigurationError when the file cannot be read, is neither JSON nor YAML or repeats a
    key, and for a ValueError of `check`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    try:
        return check(
            strict_json.parse(text) if path.suffix.lower() == ".json" else _parse_yaml(text)
        )
    except ValueError as problem:
        raise ConfigurationError(f"invalid {kind} {path}: {problem}", hint=hint) from None


def _parse_yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a repeated key, which YAML forbids and PyYAML lets pass."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[Any] = set()
            for node_of_key, _ in node.value:
                key = self.construct_object(node_of_key, deep=True)
                if isinstance(key, Hashable):  # the others are refused by the library
                    if key in seen:
                        raise ValueError(f"duplicate key {sanitize(key, longest=40)!r}")
                    seen.add(key)
            return super().construct_mapping(node, deep=deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506  # a SafeLoader
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except yaml.YAMLError as error:
        raise ValueError(_describe(error)) from None


def _describe(error: Any) -> str:
    """Name the line and the problem, without the text around it, which may hold a secret."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f", line {mark.line + 1}" if mark else ""
    return f"invalid YAML{where}" + (f": {sanitize(problem)}" if problem else "")
