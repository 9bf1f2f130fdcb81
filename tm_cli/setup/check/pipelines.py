"""Reads the jobs of GitHub workflows, GitLab pipelines and makefiles."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.exit_codes import ExitCode
from tm_cli.setup.branches import Branches, takes
from tm_cli.setup.check.model import (
    Job,
    Remark,
    Script,
    ShellOptions,
    key_in_paths,
    lines,
    problem,
    table,
    tables,
    texts,
    warning,
)
from tm_cli.setup.pins import ACTION
from tm_cli.values.text import did_you_mean

_ACTION = re.compile(r"(?:[\w.-]+/)+tm@.+|\./")
_BY_ITSELF = frozenset({"push", "pull_request", "pull_request_target", "merge_group", "schedule"})
_ALWAYS = frozenset({"true", "always()", "success()", "!cancelled()", "success() || failure()"})
_NEVER = frozenset({"false", "0", "''", "null"})


def github_jobs(workflow: Mapping[Any, Any], branches: Branches) -> Iterator[Job]:
    """Return the steps of a workflow, each as a job of its own with the name of its job.

    `branches` are those of the repository.
    """
    started = (*_started(workflow), *_pushed(workflow, branches))
    for name, job in tables(workflow.get("jobs")).items():
        steps = _mappings(job.get("steps"))
        of_job = (*started, *_conditions(job), *_kept(steps))
        for step in steps:
            levels = (workflow, job, step)
            directory = step.get("working-directory") or _default("working-directory", *levels)
            yield Job(
                name,
                (Script(str(step.get("run") or ""), _shell(*levels)),),
                environ={key: text for level in levels for key, text in _environ(level)},
                remarks=(*of_job, *_conditions(step), *_unpublished(step), *_refused_inputs(step)),
                inputs=_inputs(step),
                directory=str(directory or "."),
                runs=_condition(job) not in _NEVER and _condition(step) not in _NEVER,
            )


def _environ(level: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    yield from texts(level.get("env")).items()


def _shell(
    workflow: Mapping[Any, Any], job: Mapping[Any, Any], step: Mapping[Any, Any]
) -> ShellOptions:
    """What the runner makes of `shell`; without one, `bash -e`, but on Windows PowerShell."""
    name = str(step.get("shell") or _default("shell", workflow, job) or "")
    if not name:
        on_windows = "windows" in str(job.get("runs-on")).lower()
        return ShellOptions(stops=not on_windows, is_posix=not on_windows)
    if name in {"bash", "sh"}:
        return ShellOptions(stops=True, pipefail=name == "bash")
    words = name.split()
    is_posix = any(re.search(r"(?:^|/)(?:ba|da|z|k)?sh$", word) for word in words)
    stops = any(re.fullmatch(r"-[a-z]*e[a-z]*", word) for word in words) or "errexit" in words
    return ShellOptions(stops=stops, pipefail="pipefail" in words, is_posix=is_posix)


def _default(key: str, *levels: Mapping[Any, Any]) -> str:
    for level in reversed(levels):
        run = table(table(level.get("defaults")).get("run"))
        if key in run:
            return str(run[key])
    return ""


def _started(workflow: Mapping[Any, Any]) -> Iterator[Remark]:
    """Whether anything starts it."""
    events = workflow.get("on")
    if not events:
        yield problem("it never runs: the workflow has no `on:`")
        return
    names = set(map(str, events)) if isinstance(events, (list, Mapping)) else {str(events)}
    if not names & _BY_ITSELF:
        yield warning(f"it runs only on {', '.join(sorted(names))}")


def _pushed(workflow: Mapping[Any, Any], branches: Branches) -> Iterator[Remark]:
    """Whether a push to the default branch starts it: its runs are the baseline of the others."""
    events = table(workflow.get("on", workflow.get(True)))
    filters = list(lines(table(events.get("push")).get("branches")))
    if not filters or not branches.default:
        return
    listed = ", ".join(filters)
    names = branches.names | {branches.default}
    if not any(takes(filters, name) for name in names):
        yield problem(
            f"no push starts it: branches [{listed}] name none of this repository, "
            f"whose default branch is {branches.default}"
        )
    elif not takes(filters, branches.default):
        yield warning(f"no push to the default branch {branches.default} starts it: [{listed}]")


def _unpublished(step: Mapping[str, Any]) -> Iterator[Remark]:
    if str(step.get("uses") or "").startswith(f"{ACTION}@"):
        yield warning(f"replace OWNER in `uses: {ACTION}` by the account that publishes the action")


def _conditions(level: Mapping[str, Any]) -> Iterator[Remark]:
    """What a job or a step says about its failure, and about when it runs."""
    if level.get("continue-on-error", False) is not False:
        yield problem("continue-on-error makes every exit code a success")
    if (text := _condition(level)) in _NEVER:
        yield problem("it never runs: `if: false`")
    elif text and text not in _ALWAYS:
        yield warning(f"it runs only if {text}")


def _condition(level: Mapping[str, Any]) -> str:
    if level.get("if") is None:
        return ""
    text = " ".join(str(level["if"]).split())
    found = re.fullmatch(r"\$\{\{(.*)\}\}", text)
    inner = (found[1] if found else text).strip()
    return inner.lower() if inner.lower() in {"true", "false"} else inner


def _inputs(step: Mapping[str, Any]) -> dict[str, str] | None:
    if not _ACTION.fullmatch(str(step.get("uses") or "")):
        return None
    given = {name.lower(): text for name, text in texts(step.get("with")).items()}
    return given if given.keys() & {"profile", "benchmark", "job"} else None


_OPTIONS = (
    *(
        "confirm",
        "baseline",
        "against",
        "serve",
        "serve-log",
        "wait-for-target",
        "warmup",
        "stop-early",
        "region",
    ),
    *("wait-timeout", "verdict-timeout", "poll-interval", "timeout", "on-interrupt", "warn-on"),
)
INPUTS = frozenset(
    {
        *_OPTIONS,
        *("system", "profile", "benchmark", "job", "args", "fail-on", "assert", "abort-if"),
        *(
            "tags",
            "fail-fast",
            "base-url",
            "api-key",
            "working-directory",
            "summary",
            "annotations",
        ),
        *("report-json", "report-junit", "report-markdown", "report-html", "report-csv"),
        *("comment", "comment-name", "comment-token", "artifact", "cache", "history"),
        *("version", "extras", "python-version"),
    }
)
"""The inputs of the action."""
_SWITCHES = ("fail-fast", "stop-early", "summary", "annotations", "comment", "cache")
_TAKEN = re.compile(r"--(?!help|version|no-wait|(?:wait|fail-on|warn-on)(?:=|$))[a-z].*")
"""A line of `args` that the action takes."""


def action_words(inputs: Mapping[str, str], *, has_fail_on: bool) -> list[str]:
    """Return the words of the command that the action runs, without reports; `args` come last.

    `has_fail_on` is whether the settings or the environment name verdicts that fail a gate.
    """
    system = inputs.get("system", "runs")
    verdicts = inputs.get("fail-on") or ("" if has_fail_on or system != "runs" else "FAIL")
    words = [system, "start", "--wait"]
    words += [] if verdicts in {"", "none"} else [f"--fail-on={verdicts}"]
    words += [f"--{name}={inputs[name]}" for name in _OPTIONS if inputs.get(name)]
    repeated = {"--assert=": "assert", "--abort-if=": "abort-if", "--tag=": "tags", "": "args"}
    for option, name in repeated.items():
        words += [f"{option}{line}" for line in _lines(inputs, name)]
    words += ["--fail-fast"] if inputs.get("fail-fast") == "true" else []
    subject = {"runs": "profile", "jobs": "job"}.get(system, "benchmark")
    return [*words, "--", *_lines(inputs, subject)]


def _lines(inputs: Mapping[str, str], name: str) -> list[str]:
    return [line for line in inputs.get(name, "").splitlines() if line.strip()]


def _refused_inputs(step: Mapping[str, Any]) -> Iterator[Remark]:
    """What GitHub only warns of, and what the action itself refuses."""
    inputs = _inputs(step) or {}
    for name in sorted(inputs.keys() - INPUTS):
        near = did_you_mean(name, INPUTS, "remove it")
        yield problem(f"the action has no input `{name}`, and runs without it; {near}")
    for name, value in table(step.get("with")).items() if inputs else ():
        if isinstance(value, (list, Mapping)):
            yield problem(f"the input `{name}` is no text; write several on lines of their own: |")
    for name in _SWITCHES:
        if "${{" not in inputs.get(name, "") and inputs.get(name, "true") not in {"true", "false"}:
            yield problem(f"the input {name} must be true or false")
    for line in _lines(inputs, "args"):
        if not _TAKEN.fullmatch(line):
            yield problem(f"the action refuses `{line}` in args")


def _kept(steps: list[Mapping[str, Any]]) -> Iterator[Remark]:
    for step in steps:
        if str(step.get("uses") or "").startswith(("actions/cache", "actions/upload-artifact")):
            texts_of_paths = lines(table(step.get("with")).get("path"))
            yield from key_in_paths(path for text in texts_of_paths for path in text.splitlines())


_NOT_JOBS = frozenset({"default", "include", "stages", "variables", "workflow", "spec"})
_RUNNER = ShellOptions(stops=True, pipefail=True)
"""The runner turns both on, and all lines of a job are one script."""
_SOFT = (int(ExitCode.WARN), int(ExitCode.NO_BASELINE))
_DEEPEST = 10
_OFF = frozenset({"false", "no", "off"})
"""GitLab reads YAML 1.1, where these are one."""


def gitlab_jobs(pipeline: Mapping[Any, Any]) -> Iterator[Job]:
    """Return the jobs of a pipeline."""
    jobs = {name: job for name, job in tables(pipeline).items() if name not in _NOT_JOBS}
    shared = texts(pipeline.get("variables"))
    usual = {**_shared_keys(pipeline), **_shared_keys(table(pipeline.get("default")))}
    extended = {name for job in jobs.values() for name in lines(job.get("extends"))}
    for name in jobs:
        if not (name.startswith(".") and name in extended):  # else checked where it is used
            yield _job(name, {**usual, **_whole(name, jobs)}, shared)


def _shared_keys(level: Mapping[Any, Any]) -> dict[str, Any]:
    wanted = ("before_script", "after_script", "cache", "artifacts")
    return {key: level[key] for key in wanted if key in level}


def _whole(name: str, jobs: Mapping[str, Mapping[str, Any]], depth: int = 0) -> dict[str, Any]:
    """A job with what it extends; tables are joined, all else is replaced."""
    job = jobs.get(name, {})
    whole: dict[str, Any] = {}
    if depth < _DEEPEST:
        for parent in lines(job.get("extends")):
            whole = _joined(whole, _whole(parent, jobs, depth + 1))
    return _joined(whole, job)


def _joined(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _joined(below[key], value)
        for key, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
    }
    return {**below, **above, **both}


def _job(name: str, job: Mapping[str, Any], shared: Mapping[str, str]) -> Job:
    script = "\n".join([*lines(job.get("before_script")), *lines(job.get("script"))])
    late = "\n".join(lines(job.get("after_script")))
    levels = [job, *_reached(job.get("rules"))]
    never = tuple(_never(name, levels))
    return Job(
        name,
        (
            Script(script, _RUNNER),
            Script(late, _RUNNER, lost="after_script drops the exit code of a gate"),
        ),
        environ={**shared, **texts(job.get("variables"))},
        remarks=(
            *never,
            *(remark for level in levels for remark in _forgiven(level)),
            *_repeated(job.get("retry")),
            *_kept_files(job),
        ),
        runs=not never,
    )


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings in a list; none for anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _reached(rules: Any) -> Iterator[Mapping[str, Any]]:
    """The rules up to the first that has no condition: it decides, the others do not count."""
    for rule in _mappings(rules):
        yield rule
        if not rule.keys() & {"if", "changes", "exists"}:
            return


def _never(name: str, levels: list[Mapping[str, Any]]) -> Iterator[Remark]:
    """Whether the job never runs; `levels` are the job and its rules."""
    job, *rules = levels
    if name.startswith("."):
        yield problem("it never runs: the name of the job begins with a dot")
    elif job.get("when") == "never" or (
        rules and all(rule.get("when", job.get("when")) == "never" for rule in rules)
    ):
        yield problem("it never runs: `when: never`")


def _forgiven(level: Mapping[str, Any]) -> Iterator[Remark]:
    """What a job or a rule says about a failure, and about when it runs."""
    allowed = level.get("allow_failure", False)
    if isinstance(allowed, Mapping):
        codes = allowed.get("exit_codes")
        for code in codes if isinstance(codes, list) else [codes]:
            if code not in _SOFT:
                yield problem(f"allow_failure lets exit code {code} pass; only 3 and 4 are mild")
    elif str(allowed).lower() not in _OFF:
        yield problem("allow_failure makes every exit code a success")
    if level.get("when") == "manual":
        yield warning("it runs only by hand, `when: manual`")


def _repeated(retry: Any) -> Iterator[Remark]:
    given = retry if isinstance(retry, Mapping) else {"max": retry}
    causes = set(lines(given.get("when", "always")))
    if given.get("max") in (1, 2, "1", "2") and causes & {"always", "script_failure"}:
        yield warning("`retry` starts another run after a FAIL, and one PASS is enough")


def _kept_files(job: Mapping[str, Any]) -> Iterator[Remark]:
    caches = job.get("cache")
    for kept in [*(caches if isinstance(caches, list) else [caches]), job.get("artifacts")]:
        yield from key_in_paths(lines(table(kept).get("paths")))


_SETTING = re.compile(r"^ *(?:(export|override)\s+)?(\w+)\s*[?:+]{0,3}=\s*([^#]*?)\s*(?:#.*)?$")
_RULE = re.compile(r"^([^\s#:=][^#:=]*?)\s*::?(?!=)([^;#]*)(?:;([^#]*))?")
_REFERENCE = re.compile(r"\$[({](\w+)[)}]")
_FORGIVING_FLAGS = re.compile(
    r"(?:^|\s)(?:-(?![CEIOWfjlo])\w*[int]\w*|--ignore-errors|--dry-run|--just-print|--touch)(?:\s|$)"
)
"""To ignore failures (i), to print only (n), to touch only (t)."""


@dataclass(frozen=True, slots=True)
class Makefile:
    """Recipes and prerequisites by target, and variables; `exported` are those for commands."""

    recipes: Mapping[str, list[str]]
    needs: Mapping[str, list[str]]
    variables: Mapping[str, str]
    exported: Mapping[str, str]

    def jobs(self) -> Iterator[Job]:
        """Return the targets with recipes; each line is a script of its own."""
        for target, recipe in self.recipes.items():
            lines = [self._expanded(line) for line in recipe]
            scripts = ["\n".join(lines)] if ".ONESHELL" in self.needs else lines
            yield Job(
                target,
                tuple(map(_script, scripts)),
                environ=self.exported,
                remarks=tuple(self._forgiven(target)),
            )

    def _expanded(self, line: str) -> str:
        """The line with the values of variables, `tm` for a TM that comes from elsewhere."""
        known = {"TM": "tm", **self.variables}

        def value(found: re.Match[str]) -> str:
            text = known.get(found[1], "$")
            return f"${found[1]}" if "$" in text else text

        return _REFERENCE.sub(value, line).replace("$$", "$")

    def _forgiven(self, target: str) -> Iterator[Remark]:
        ignored = self.needs.get(".IGNORE")
        if ignored is not None and (not ignored or target in ignored):
            yield problem(".IGNORE makes every exit code a success")
        if _FORGIVING_FLAGS.search(self.variables.get("MAKEFLAGS", "")):
            yield problem("MAKEFLAGS makes every exit code a success")


def read_makefile(text: str) -> Makefile:
    """Return what is in a makefile; conditions count as met."""
    recipes: defaultdict[str, list[str]] = defaultdict(list)
    needs: defaultdict[str, list[str]] = defaultdict(list)
    variables: dict[str, str] = {}
    exported: dict[str, str] = {}
    targets: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("\t"):
            for target in targets:
                recipes[target].append(line.strip())
        elif found := _SETTING.match(line):
            variables[found[2]] = found[3]
            if found[1] == "export":
                exported[found[2]] = found[3]
        elif found := _RULE.match(line):
            targets = found[1].split()
            for target in targets:
                needs[target] += found[2].split()
                recipes[target] += [found[3].strip()] if found[3] else []
    return Makefile(recipes, needs, variables, exported)


def targets_that_need(found: set[str], makefiles: Sequence[Makefile]) -> set[str]:
    """Return the targets in `found` and all that need one of them."""
    size = -1
    while size != len(found):
        size = len(found)
        for makefile in makefiles:
            found = found | {name for name, needs in makefile.needs.items() if found & set(needs)}
    return found - {".PHONY"}


def _script(line: str) -> Script:
    bare = line.lstrip("@+- ")
    ignored = "-" in line[: len(line) - len(bare)]
    lost = "a `-` before the command makes every exit code a success" if ignored else None
    return Script(bare, lost=lost)
