"""A pipeline as the check sees it: jobs with scripts, and what the platform makes of a failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tm_cli.setup.answers import System
from tm_cli.values.check_result import Status


class Remark(NamedTuple):
    """What is wrong with a gate, or with the job it runs in."""

    status: Status
    text: str


def problem(text: str) -> Remark:
    """The gate does not run, or its failure does not count."""
    return Remark(Status.PROBLEM, text)


def warning(text: str) -> Remark:
    """A person has to check what no file shows."""
    return Remark(Status.WARNING, text)


def not_checked(text: str) -> Remark:
    """The check cannot know; that is not an ok."""
    return Remark(Status.SKIPPED, f"not checked: {text}")


@dataclass(frozen=True, slots=True)
class ShellOptions:
    """How the platform runs a script: whether it stops at a failure, whether pipes keep one."""

    stops: bool = False
    pipefail: bool = False
    is_posix: bool = True


@dataclass(frozen=True, slots=True)
class Script:
    """A script of a job; `lost` says why the platform drops its exit code, if it does."""

    text: str
    shell: ShellOptions = ShellOptions()
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Scripts that share an environment.

    `directory` is where they run, relative to the repository. `remarks` hold for every gate in it;
    `runs` is False where the platform never comes here. `inputs` are those of the GitHub action.
    """

    name: str
    scripts: tuple[Script, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    inputs: Mapping[str, str] | None = None
    directory: str = "."
    runs: bool = True

    @property
    def variables(self) -> dict[str, str]:
        """The environment, with the key that the GitHub action is given."""
        key = (self.inputs or {}).get("api-key")
        if key is None:
            return dict(self.environ)
        system = (self.inputs or {}).get("system", System.RUNS)
        prefix = System(system).prefix if system in list(System) else System.RUNS.prefix
        return {**self.environ, f"{prefix}_API_KEY": key}


def table(value: Any) -> Mapping[str, Any]:
    """Return a table, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def tables(value: Any) -> dict[str, Mapping[str, Any]]:
    """Return the tables in a table by their names."""
    return {str(key): item for key, item in table(value).items() if isinstance(item, Mapping)}


def texts(value: Any) -> dict[str, str]:
    """Return variables as texts; GitLab's may be tables with a `value`."""
    found = {}
    for name, item in table(value).items():
        plain = item.get("value") if isinstance(item, Mapping) else item
        text = "" if plain is None else str(plain)
        found[str(name)] = text.lower() if isinstance(plain, bool) else text
    return found


def lines(script: Any) -> Iterator[str]:
    """Return the texts of a list, however deep they are, or of one text."""
    if isinstance(script, str):
        yield script
    elif isinstance(script, list):
        for item in script:
            yield from lines(item)


def key_in_paths(paths: Iterator[str]) -> Iterator[Remark]:
    """Say where a cache or an artifact would take the embedded server's key along."""
    for path in paths:
        plain = path.strip().strip("\"'").removeprefix("./").rstrip("/")
        whole = plain in {".tm", ".tm/*", ".tm/**", ".tm/**/*", "**/.tm", "**/.tm/**"}
        if whole or plain.endswith(".tm/api-key"):
            yield problem(f"it keeps {path.strip()} with the key in it: keep .tm/tm.db only")
