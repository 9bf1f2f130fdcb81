"""The CI platform that a gate runs on, as one more place that it reports to.

What cannot be written there is noted and changes no exit code: no flag asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tm_cli.bisect.repository import read_head
from tm_cli.gate.events import Event, RunStarted
from tm_cli.gate.outcome import GateOutcome
from tm_cli.render.formats.ci_log import annotated, assignment, outputs, section_end, section_start
from tm_cli.render.formats.markdown import markdown
from tm_cli.runtime.clock import Clock
from tm_cli.runtime.files import append as append_bytes
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import sanitize

LARGEST_SUMMARY = 1024 * 1024 - 4096
"""Bytes of one step's summary; the runner drops a larger one as a whole."""

SECTION = "tm_gate"


@dataclass(slots=True)
class GitHub:
    """The runner of GitHub Actions: outputs at once, summary and annotations at the end.

    `output` and `summary` are the files that the runner named; None leaves that part out. `reports`
    are formats and files of reports, and `token` is text that no value holds.
    """

    terminal: Terminal
    token: str
    output: Path | None = None
    summary: Path | None = None
    annotates: bool = True
    reports: Sequence[tuple[str, Path]] = ()
    _run_ids: dict[int, str] = field(default_factory=dict)

    @property
    def wants_baseline(self) -> bool:
        """The summary shows it."""
        return self.summary is not None

    def begin(self, undecided: GateOutcome) -> None:
        """Set the outputs as undecided: of several assignments the last one counts."""
        files = [(f"report-{form}", str(path)) for form, path in self.reports]
        self._set(("run-id", ""), *outputs(undecided), *files)

    def note(self, position: int, event: Event) -> None:
        """Name a run as soon as it is there, so that a later step can find it in any case."""
        if isinstance(event, RunStarted) and event.run.run_id:
            self._run_ids[position] = sanitize(event.run.run_id)
            self._set(("run-id", ",".join(self._run_ids[n] for n in sorted(self._run_ids))))

    def finish(self, evidence: GateOutcome) -> bool:
        """Set the outputs, append to the summary, annotate."""
        self._set(*outputs(evidence))
        self._summarise(evidence)
        for line in annotated(evidence) if self.annotates else ():
            self.terminal.write_line(line)
        return True

    def _set(self, *pairs: tuple[str, str]) -> None:
        if self.output is not None:
            text = "".join(assignment(name, value, self.token) for name, value in pairs)
            self._append(self.output, text, "outputs")

    def _summarise(self, evidence: GateOutcome) -> None:
        if self.summary is not None:
            append_summary(self.terminal, self.summary, evidence)

    def _append(self, path: Path, text: str, what: str) -> None:
        append(self.terminal, path, text, what)


def append_summary(terminal: Terminal, path: Path, evidence: GateOutcome) -> bool:
    """Append the outcome to a step summary as far as there is room; whether that worked."""
    try:
        taken = path.stat().st_size if path.exists() else 0
    except OSError:
        taken = 0
    room = max(LARGEST_SUMMARY - taken, 0)
    return append(terminal, path, markdown(evidence, limit=room) + "\n", "the summary")


def append(terminal: Terminal, path: Path, text: str, what: str) -> bool:
    """Append to a file of the runner; a failure is noted."""
    try:
        append_bytes(path, text.encode(errors="replace"))
    except OSError as problem:
        terminal.write_line(f"tm: cannot write {what} to {path}: {problem.strerror}")
        return False
    return True


@dataclass(slots=True)
class GitLab:
    """A job log of GitLab: the progress of a gate is a section that opens on demand."""

    terminal: Terminal
    clock: Clock

    @property
    def wants_baseline(self) -> bool:
        """A log shows no baseline."""
        return False

    def begin(self, undecided: GateOutcome) -> None:
        self.terminal.write_line(section_start(SECTION, "tm waits for the gate", self.clock.now()))

    def note(self, position: int, event: Event) -> None:
        """The view tells what happens."""

    def finish(self, evidence: GateOutcome) -> bool:
        """End the section, so that the result stands below it."""
        self.terminal.write_line(section_end(SECTION, self.clock.now()))
        return True


_NAMES = {
    "commit": (
        "GITHUB_SHA",
        "CI_COMMIT_SHA",
        "APPVEYOR_REPO_COMMIT",
        "BITBUCKET_COMMIT",
        "BUDDY_EXECUTION_REVISION",
        "BUILDKITE_COMMIT",
        "BUILD_SOURCEVERSION",  # Azure
        "CF_REVISION",
        "CIRCLE_SHA1",
        "CIRRUS_CHANGE_IN_REPO",
        "CODEBUILD_RESOLVED_SOURCE_VERSION",
        "DRONE_COMMIT_SHA",
        "GIT_COMMIT",  # Jenkins
        "SEMAPHORE_GIT_SHA",
        "TRAVIS_COMMIT",
    ),
    "branch": ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME"),
    "ci_url": ("CI_JOB_URL",),
}


COMMIT_TAG = "commit-"
"""What the tag of a run begins with that names the commit under test."""

BRANCH_TAG = "branch-"

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_LONGEST_COMMIT = 40  # characters; a tag has room for 60


def commit_tag(chosen: str | None, environ: Mapping[str, str], directory: Path) -> str | None:
    """Return the tag of the commit under test: the `chosen` one, else what is checked out here,
    else what the CI platform says; None where nothing is known.
    """
    found = chosen or read_head(directory) or ci_metadata(environ).get("commit") or ""
    found = found.strip().lower()
    return COMMIT_TAG + found[:_LONGEST_COMMIT] if _COMMIT.fullmatch(found) else None


def tagged_commit(tags: Sequence[str]) -> str | None:
    """Return the commit that the tags of a run name: as `commit_tag` writes it, or a whole id."""
    named = [tag.removeprefix(COMMIT_TAG) for tag in tags if tag.startswith(COMMIT_TAG)]
    whole = [tag for tag in tags if len(tag) == _LONGEST_COMMIT]
    return next((text for text in (*named, *whole) if _COMMIT.fullmatch(text)), None)


def tagged_branch(tags: Sequence[str]) -> str | None:
    """Return the branch that the tags of a run name, as far as a tag can spell it."""
    return next((tag.removeprefix(BRANCH_TAG) for tag in tags if tag.startswith(BRANCH_TAG)), None)


def ci_metadata(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `commit`, `branch` and `ci_url`, as far as the CI platform names them."""
    found = {
        key: value
        for key, names in _NAMES.items()
        if (value := next((environ[name] for name in names if environ.get(name)), None))
    }
    server, repository = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_REPOSITORY")
    if server and repository and (run_id := environ.get("GITHUB_RUN_ID")):
        found["ci_url"] = f"{server}/{repository}/actions/runs/{run_id}"
    return found
