"""Files that say how a run or a job is to be made, in JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tm_cli.backends.documents import read_document
from tm_cli.values.text import did_you_mean

PROFILE_KEYS = frozenset({"purpose", "envVars", "secrets", "launchParameters", "mounts"})
"""What a run profile may hold; the API ignores other keys."""

SPEC_TYPES = {"benchmark": "agent_configs", "scenarios": "agent_configs", "harbor": "inline_yaml"}
"""The types of a job, and the key that each of them needs."""


def read_run_profile(path: Path) -> dict[str, Any]:
    """Return the run profile in `path`; raises ConfigurationError for what the API would ignore."""
    return read_document(path, "run profile", _check_run_profile)


def read_job_spec(path: Path) -> dict[str, Any]:
    """Return the specification of a job; raises ConfigurationError when it cannot be one."""
    return read_document(path, "job specification", _check_job_spec)


def _check_run_profile(document: Any) -> dict[str, Any]:
    found, keys = _mapping(document), f"the keys are {', '.join(sorted(PROFILE_KEYS))}"
    for key in found:
        if key not in PROFILE_KEYS:
            raise ValueError(f"unknown key {key!r}; " + did_you_mean(key, PROFILE_KEYS, keys))
    return found


def _check_job_spec(document: Any) -> dict[str, Any]:
    found = _mapping(document)
    kind = found.get("type")
    needed = SPEC_TYPES.get(kind) if isinstance(kind, str) else None
    if needed is None:
        raise ValueError(f"type must be one of {', '.join(SPEC_TYPES)}")
    if needed not in found:
        raise ValueError(f"{needed} is missing")
    return found


def _mapping(document: Any) -> dict[str, Any]:
    if not isinstance(document, Mapping) or not all(isinstance(key, str) for key in document):
        raise ValueError("expected a mapping of keys to values")
    return dict(document)
