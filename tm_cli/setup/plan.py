"""Which files a set-up needs, what happens to existing ones, and what to do next."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tm_cli.errors import ConfigurationError, OutputError
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.device_paths import find_device
from tm_cli.runtime.files import write_atomic
from tm_cli.setup import pins, pipelines
from tm_cli.setup.answers import (
    Answers,
    Platform,
    System,
    document_path,
    is_here,
    is_ignored,
    may_be_public,
    profile_text,
    settings_text,
    with_ignored,
)
from tm_cli.setup.editor import SCHEMAS, modeline
from tm_cli.setup.pipelines import MARK, gate_command, include_line, soft_codes, stage_for

MIN_REQUESTS = 200
"""Requests that the embedded server needs to judge a run."""
SETTINGS = "tm.toml"
IGNORED = ".gitignore"

Read = Callable[[str], str | None]
"""Path, relative to the directory of the set-up, to the text that is there; None when none is."""


class Action(StrEnum):
    """What happens to a file; SAME and KEPT leave it alone."""

    WRITTEN = "written"
    REPLACED = "replaced"
    EXTENDED = "extended"
    SAME = "same"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Change:
    """One file, its whole text after the change, and what happens to it."""

    path: str
    action: Action
    text: str


def plan(answers: Answers, read: Read, schemas: Mapping[str, str], *, force: bool) -> list[Change]:
    """Return what has to happen; a file that differs is replaced only with `force`.

    `schemas` are the JSON Schemas of a profile and of the settings; they are always the newest.
    """
    changes = []
    if answers.is_load:
        path, text = document_path(answers.name), profile_text(answers)
        changes.append(_change(path, modeline("profile") + text, read, force=force))
        changes.append(_change(SCHEMAS["profile"], schemas["profile"], read, force=True))
    if not _has_settings_elsewhere(read) and (answers.is_load or read(SETTINGS) is None):
        text = modeline("settings") + settings_text(answers)
        changes.append(_change(SETTINGS, text, read, force=force))
        changes.append(_change(SCHEMAS["settings"], schemas["settings"], read, force=True))
    changes.append(_ignored(read(IGNORED)))
    changes += (_change(path, text, read, force=force) for path, text in _pipeline(answers, read))
    return changes


def _change(path: str, text: str, read: Read, *, force: bool) -> Change:
    present = read(path)
    if present is None:
        return Change(path, Action.WRITTEN, text)
    if present.splitlines() == text.splitlines():  # git may change line ends
        return Change(path, Action.SAME, present)
    return Change(path, Action.REPLACED, text) if force else Change(path, Action.KEPT, present)


def _ignored(present: str | None) -> Change:
    if present is None:
        return Change(IGNORED, Action.WRITTEN, with_ignored(""))
    if is_ignored(present):
        return Change(IGNORED, Action.SAME, present)
    return Change(IGNORED, Action.EXTENDED, with_ignored(present))


def _has_settings_elsewhere(read: Read) -> bool:
    """Whether pyproject.toml holds the settings; a `tm.toml` next to it would hide them."""
    if read(SETTINGS) is not None or (text := read("pyproject.toml")) is None:
        return False
    try:
        return isinstance(tomllib.loads(text).get("tool", {}).get("tm"), dict)
    except (ValueError, RecursionError, AttributeError):  # a number may be too long for Python
        return False


def _pipeline(answers: Answers, read: Read) -> Iterator[tuple[str, str]]:
    match answers.platform:
        case Platform.GITHUB:
            yield pipelines.github_path(answers), pipelines.workflow_text(answers)
        case Platform.GITLAB if present := _other(answers, read(pipelines.GITLAB_PATH)):
            path = pipelines.included_pipeline(answers)
            yield path, pipelines.pipeline_text(answers, stage_for(present))
        case Platform.GITLAB:
            yield pipelines.GITLAB_PATH, pipelines.pipeline_text(answers)
        case Platform.MAKE if any(_other(answers, read(name)) for name in pipelines.MAKEFILES):
            path = pipelines.included_makefile(answers)
            yield path, pipelines.makefile_text(answers, installs=not _is_installed(path, read))
        case Platform.MAKE:
            yield pipelines.MAKEFILE, pipelines.makefile_text(answers)


def _is_installed(path: str, read: Read) -> bool:
    """Whether another makefile than `path` has the target that installs tm; two would clash."""
    others = {*pipelines.MAKEFILES, *(f"{system.job}.mk" for system in System)} - {path}
    return any("\ninstall-tm:" in (read(name) or "") for name in others)


def _other(answers: Answers, text: str | None) -> str | None:
    """Return the text of a pipeline that is never replaced: of a person, or of another gate."""
    is_same = text and MARK in text.partition("\n")[0] and f"\n{answers.system.job}:" in text
    return None if is_same else text


def read_text(directory: Path, path: str) -> str | None:
    """Return the text of a file, None when there is none.

    Raises ConfigurationError when it is there and cannot be read as text.
    """
    place = directory / path
    if not os.path.lexists(place):
        return None
    try:
        if find_device(place) is not None:
            raise ConfigurationError(f"{path} is a device or a pipe, not a file")
        return place.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is there and is not UTF-8 text") from None


def write(directory: Path, changes: Iterable[Change]) -> None:
    """Write the changes; a file that has appeared in the meantime is not touched.

    Raises OutputError when a file cannot be written.
    """
    for change in changes:
        place = directory / change.path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if change.action is Action.WRITTEN:
                with place.open("x", encoding="utf-8", newline="\n") as file:
                    file.write(change.text)
            elif change.action in (Action.REPLACED, Action.EXTENDED):
                if find_device(place) is None:
                    place = place.resolve()  # a link stays a link
                write_atomic(place, change.text, mode=stat.S_IMODE(place.stat().st_mode))
        except OSError as error:
            raise OutputError(
                f"cannot write {change.path}: {error.strerror or error}",
                hint="what is written so far stays; run `tm init` again",
            ) from None


def usual_platform(directory: Path) -> Platform:
    """Return the platform whose files are there, else the one that git fetches from, else none."""
    signs = (
        (".gitlab-ci.yml", Platform.GITLAB),
        (".github", Platform.GITHUB),
        ("Makefile", Platform.MAKE),
    )
    for name, platform in signs:
        if (directory / name).exists():
            return platform
    return _from_remote(directory / ".git" / "config")


def _from_remote(config: Path) -> Platform:
    with suppress(OSError):
        text = config.read_text(encoding="utf-8", errors="replace")
        for host in re.findall(r"^\s*url\s*=\s*\S*?([\w.-]+\.\w+)[:/]", text, re.MULTILINE):
            for platform in (Platform.GITHUB, Platform.GITLAB):
                if platform.value in host.split("."):
                    return platform
    return Platform.NONE


def top_for(platform: Platform, directory: Path) -> Path | None:
    """Return the top of the repository where the platform reads pipelines only there.

    None where the pipeline may be written to `directory`.
    """
    if platform not in (Platform.GITHUB, Platform.GITLAB) or (directory / ".git").exists():
        return None
    return next((place for place in directory.parents if (place / ".git").exists()), None)


def next_commands(answers: Answers, changes: Sequence[Change]) -> list[str]:
    """Return the two commands that come next."""
    paths = " ".join(change.path for change in changes)
    if not answers.is_load:
        return [gate_command(answers, every_verdict=False), f"git add {paths}"]
    return [f"tm runs start {document_path(answers.name)} --wait", f"git add {paths}"]


def notes(answers: Answers, changes: Sequence[Change]) -> list[str]:
    """Return what only a person can do or should know, a sentence each."""
    return [
        *_files(changes),
        *_joining(answers, changes),
        *_target(answers),
        *_account(answers),
        *_verdicts(answers),
    ]


def _files(changes: Sequence[Change]) -> Iterator[str]:
    if all(change.action is Action.SAME for change in changes):
        yield "Everything was there already."
    kept = [change.path for change in changes if change.action is Action.KEPT]
    if kept:
        yield (
            f"Kept as they are, though they differ from what you asked for: {', '.join(kept)}. "
            "--force replaces them."
        )


def _joining(answers: Answers, changes: Sequence[Change]) -> Iterator[str]:
    paths = {change.path for change in changes}
    if (path := pipelines.included_pipeline(answers)) in paths:
        yield f"Add to {pipelines.GITLAB_PATH}: {include_line(path)}"
    if (path := pipelines.included_makefile(answers)) in paths:
        yield f"Add to your makefile: {include_line(path)}"


def _target(answers: Answers) -> Iterator[str]:
    if answers.system is System.BENCHMARKS:
        yield "Another process has to drive the run, or the job itself with --exec COMMAND."
    in_ci = answers.platform in (Platform.GITHUB, Platform.GITLAB)
    if in_ci and is_here(answers.url):
        yield (
            "The target is this machine: start your service in the job, at the comment that marks "
            "the place."
        )
    if answers.is_local and may_be_public(answers.url) and not answers.public:
        yield (
            "The embedded server refuses public addresses. If the target has one and is yours: "
            "--allow-public-targets, and TM_ALLOW_PUBLIC_TARGETS=true on your machine."
        )


def _account(answers: Answers) -> Iterator[str]:
    key = f"{answers.system.prefix}_API_KEY"
    if not answers.is_local and answers.platform is Platform.GITHUB:
        yield f"Store the API key as the secret {key} of the repository."
    if not answers.is_local and answers.platform is Platform.GITLAB:
        yield f"Store the API key as the masked CI/CD variable {key} of the project."
    if answers.platform is Platform.GITHUB and answers.action.startswith(f"{pins.ACTION}@"):
        yield (
            f"Replace OWNER in `uses: {answers.action}` by the account that publishes the action, "
            "or name it with --action."
        )


def _verdicts(answers: Answers) -> Iterator[str]:
    if answers.is_local and answers.requests < MIN_REQUESTS:
        yield (
            f"{answers.requests:.0f} requests are too few for a verdict other than WARN: use "
            f"{MIN_REQUESTS} or more."
        )
    if answers.platform is Platform.NONE:
        return
    if "NO_BASELINE" in answers.fail_on:
        yield "The first run fails with 4: NO_BASELINE is one of the verdicts that you named."
    elif ExitCode.NO_BASELINE in soft_codes(answers) and answers.is_load:
        yield "The first run has no baseline: NO_BASELINE, which is reported and passes."
