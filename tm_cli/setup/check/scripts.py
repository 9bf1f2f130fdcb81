"""Reads pipelines: which commands they run, with which variables. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set

from tm_cli.setup.check.gate_commands import Step
from tm_cli.setup.check.github import github_steps
from tm_cli.setup.check.gitlab import gitlab_steps
from tm_cli.setup.check.makefile import make_steps
from tm_cli.setup.documents import read_yaml


def read_pipeline(path: str, text: str, targets: Set[str] = frozenset()) -> list[Step]:
    """Return the steps of a pipeline that call `tm`; raises ValueError when it is no YAML.

    `targets` are those of make that run a gate.
    """
    if not path.endswith((".yml", ".yaml")):
        return [step for step in make_steps(text) if step.is_of_tm]
    document = read_yaml(text)
    if not isinstance(document, Mapping):
        return []
    read = github_steps if ".github/" in path else gitlab_steps
    try:
        return [step for step in read(document, targets) if step.is_of_tm]
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
