"""Files that say how a run or a job is to be made, in JSON or YAML."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tm_cli.api import strict_json
from tm_cli.errors import ConfigurationError

PROFILE_KEYS = frozenset({"purpose", "envVars", "secrets", "launchParameters", "mounts"})
"""What a run profile may hold; the API takes no notice of others."""

SPEC_TYPES = {"benchmark": "agent_configs", "scenarios": "agent_configs", "harbor": "inline_yaml"}
"""The shapes of a job, and what each of them needs beside its subject."""


def read_run_profile(path: Path) -> dict[str, Any]:
    """Return the run profile in `path`; raises ConfigurationError for what the API would ignore."""
    document = _read(path, "run profile")
    for key in document:
        if key not in PROFILE_KEYS:
            close = difflib.get_close_matches(key, PROFILE_KEYS, n=1)
            raise ConfigurationError(
                f"{path} is no run profile: it has the key {key!r}",
                hint=f"did you mean {close[0]}?" if close else None,
            )
    return document


def read_job_spec(path: Path) -> dict[str, Any]:
    """Return the specification of a job; raises ConfigurationError when it cannot be one."""
    document = _read(path, "job specification")
    kind = document.get("type")
    needed = SPEC_TYPES.get(kind) if isinstance(kind, str) else None
    if needed is None:
        known = ", ".join(SPEC_TYPES)
        raise ConfigurationError(f"{path} is no job specification: its type is none of {known}")
    if needed not in document:
        raise ConfigurationError(f"{path} is no job specification: it has no {needed}")
    return document


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    try:
        document = strict_json.parse(text) if path.suffix.lower() == ".json" else _yaml(text)
    except ValueError as problem:
        raise ConfigurationError(f"{path} is no {what}: {problem}") from None
    if not isinstance(document, Mapping) or not all(isinstance(key, str) for key in document):
        raise ConfigurationError(f"{path} is no {what}: it is not a mapping of keys to values")
    return dict(document)


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as problem:
        where = getattr(problem, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise ValueError(f"it is not YAML{line}") from None
