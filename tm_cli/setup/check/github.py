"""Which files a job hands to the platform, as a cache or an artifact. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from tm_cli.setup.check.exit_code_flow import Shell
from tm_cli.setup.check.gate_commands import Step, find_calls
from tm_cli.setup.check.model import Remark, Status, lines, table, tables, texts
from tm_cli.setup.pipelines import HISTORY


def remarks_on_paths(paths: Iterable[str]) -> Iterator[Remark]:
    """Say where the key of the embedded server would leave the machine, or its journal return."""
    for path in paths:
        plain = path.strip().strip("\"'").removeprefix("./").rstrip("/")
        if plain in {".tm", ".tm/*", ".tm/**", ".tm/**/*", "**/.tm", "**/.tm/**"} or (
            plain.endswith(".tm/api-key")
        ):
            yield Remark(f"it keeps {path.strip()} with the key in it: keep {HISTORY} only")
        elif re.search(r"(?:^|/)\.tm/(?:tm\.db[-*]|server\.)", plain):
            yield Remark(
                f"it keeps {path.strip()}, of which only the database is of use to another job: "
                f"keep {HISTORY} only"
            )


def github_remarks(steps: Sequence[Mapping[str, Any]]) -> Iterator[Remark]:
    """Look at the steps of a job that keep files."""
    fetched = kept = False
    for step in steps:
        uses = str(step.get("uses") or "").partition("@")[0]
        paths = [
            path
            for text in lines(table(step.get("with")).get("path"))
            for path in text.splitlines()
        ]
        if uses.startswith(("actions/cache", "actions/upload-artifact")):
            yield from remarks_on_paths(paths)
        if any(".tm" in path for path in paths):
            fetched = fetched or uses == "actions/cache/restore"
            kept = kept or uses in {"actions/cache", "actions/cache/save"}
    if fetched and not kept:
        yield Remark(
            "it fetches earlier runs, and no step keeps new ones: actions/cache/save", Status.TODO
        )


def gitlab_remarks(job: Mapping[str, Any]) -> Iterator[Remark]:
    """Look at the cache and the artifacts of a job."""
    caches = job.get("cache")
    for kept in [*(caches if isinstance(caches, list) else [caches]), job.get("artifacts")]:
        yield from remarks_on_paths(lines(table(kept).get("paths")))


_ACTION = re.compile(r"[\w.-]+/tm@.+|\./")
_BY_ITSELF = frozenset({"push", "pull_request", "pull_request_target", "merge_group", "schedule"})
_ALWAYS = frozenset({"true", "always()", "success()", "!cancelled()", "success() || failure()"})


def github_steps(workflow: Mapping[Any, Any], targets: Set[str]) -> Iterator[Step]:
    """Return the steps of a workflow; `targets` are those of make that run a gate."""
    started = tuple(_started(workflow))
    for name, job in tables(workflow.get("jobs")).items():
        steps = job.get("steps")
        all_steps = (
            [step for step in steps or [] if isinstance(step, Mapping)]
            if (isinstance(steps, list))
            else []
        )
        of_job = (*started, *_forgiven(job), *_condition(job), *github_remarks(all_steps))
        installs = tuple(str(step.get("run") or "") for step in all_steps)
        for step in all_steps:
            yield _step(workflow, name, job, step, of_job, installs, targets)


def _step(
    workflow: Mapping[Any, Any],
    name: str,
    job: Mapping[str, Any],
    step: Mapping[str, Any],
    of_job: tuple[Remark, ...],
    installs: tuple[str, ...],
    targets: Set[str],
) -> Step:
    calls, doubts = find_calls(
        str(step.get("run") or ""), _shell(workflow, job, step), targets=targets
    )
    directory = step.get("working-directory") or _default("working-directory", workflow, job)
    return Step(
        place=name,
        calls=tuple(calls),
        environ={**texts(workflow.get("env")), **texts(job.get("env")), **texts(step.get("env"))},
        remarks=(*of_job, *_forgiven(step), *_condition(step)),
        doubts=tuple(doubts),
        inputs=_inputs(step),
        directory=str(directory or "."),
        runs=not (_is_never(job) or _is_never(step)),
        installs=installs,
    )


def _shell(workflow: Mapping[Any, Any], job: Mapping[str, Any], step: Mapping[str, Any]) -> Shell:
    """What the runner makes of `shell`; without one, `bash -e`, but on Windows it is no bash."""
    name = str(step.get("shell") or _default("shell", workflow, job) or "")
    if not name:
        on_windows = "windows" in str(job.get("runs-on")).lower()
        return Shell(stops=not on_windows, is_posix=not on_windows)
    if name in {"bash", "sh"}:
        return Shell(stops=True, pipefail=name == "bash")
    words = name.split()
    is_posix = any(re.search(r"(?:^|/)(?:ba|da|z|k)?sh$", word) for word in words)
    stops = any(re.fullmatch(r"-[a-z]*e[a-z]*", word) for word in words) or "errexit" in words
    return Shell(stops=stops, pipefail="pipefail" in words, is_posix=is_posix)


def _default(key: str, *levels: Mapping[Any, Any]) -> str:
    for level in reversed(levels):
        run = table(table(level.get("defaults")).get("run"))
        if key in run:
            return str(run[key])
    return ""


def _started(workflow: Mapping[Any, Any]) -> Iterator[Remark]:
    """Whether anything starts it; YAML reads the word `on` as true."""
    events = workflow.get("on", workflow.get(True))
    if not events:
        yield Remark("it never runs: the workflow has no `on:`")
        return
    several = isinstance(events, (list, Mapping))
    names = {str(event) for event in events} if several else {str(events)}
    if not names & _BY_ITSELF:
        yield Remark(f"it runs only on {', '.join(sorted(names))}", Status.TODO)


def _forgiven(level: Mapping[str, Any]) -> Iterator[Remark]:
    if level.get("continue-on-error", False) is not False:
        yield Remark("continue-on-error makes every exit code a success")


def _condition(level: Mapping[str, Any]) -> Iterator[Remark]:
    if _is_never(level):
        yield Remark("it never runs: `if: false`")
    elif (text := _expression(level)) and text not in _ALWAYS:
        yield Remark(f"it runs only if {text}", Status.TODO)


def _is_never(level: Mapping[str, Any]) -> bool:
    return _expression(level) in {"false", "0", "''", "null"}


def _expression(level: Mapping[str, Any]) -> str:
    if level.get("if") is None:
        return ""
    text = " ".join(str(level["if"]).split())
    found = re.fullmatch(r"\$\{\{(.*)\}\}", text)
    inner = (found[1] if found else text).strip()
    return inner.lower() if inner.lower() in {"true", "false"} else inner


def _inputs(step: Mapping[str, Any]) -> dict[str, str] | None:
    if not _ACTION.fullmatch(str(step.get("uses") or "")):
        return None
    given = {str(name): str(value) for name, value in table(step.get("with")).items()}
    return given if "profile" in given else None
