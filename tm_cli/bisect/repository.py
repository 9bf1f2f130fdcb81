"""The git repository: which commits lie between two, and work trees of their own for them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tm_cli.errors import ConfigurationError, TmError, UsageError
from tm_cli.runtime.trusted_files import find_git, find_git_dir
from tm_cli.values.text import sanitize

_SEPARATOR = "\x1f"
_SHORT = 10
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as git knows it; `subject` and `author` may hold anything."""

    id: str
    parents: tuple[str, ...] = ()
    author: str = ""
    date: str = ""
    subject: str = ""

    @property
    def short(self) -> str:
        return self.id[:_SHORT]

    def __str__(self) -> str:
        return sanitize(f"{self.short} {self.subject}".strip(), longest=72)


def read_head(directory: Path) -> str | None:
    """Return the commit that is checked out around `directory`; None where that is not known.

    The files are read, without git: a repository may be hostile, and its settings name programs.
    """
    top = next((place for place in (directory, *directory.parents) if _has_git(place)), None)
    if top is None:
        return None
    with suppress(OSError, UnicodeError, ValueError):
        git_dir = find_git_dir(top)
        head = _text(git_dir / "HEAD")
        name = head.removeprefix("ref: ")
        found = head if name == head else _resolve(git_dir, name)
        return found if _ID.fullmatch(found or "") else None
    return None


def _resolve(git_dir: Path, name: str) -> str | None:
    """Return what a branch points to; a work tree has its branches in the common directory."""
    with suppress(OSError):
        return _text(git_dir / name)
    common = git_dir
    with suppress(OSError):
        common = git_dir / _text(git_dir / "commondir")
    with suppress(OSError):
        return _text(common / name)
    refs = (line.partition(" ") for line in _text(common / "packed-refs").splitlines())
    return next((number for number, _, ref in refs if ref == name), None)


def _text(path: Path) -> str:
    if not path.is_file():  # a pipe would never end
        raise FileNotFoundError(path)
    return path.read_text(encoding="utf-8").strip()


def _has_git(place: Path) -> bool:
    with suppress(OSError):  # a directory above may be closed to us
        return (place / ".git").exists()
    return False


class Repository:
    """The repository around a directory; nothing here touches its work tree or its index."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        """Raises ConfigurationError without git."""
        git = find_git(environ)
        if git is None:
            raise ConfigurationError("git is not installed", hint="install git, or extend PATH")
        # hooks and monitors are programs of the repository, and a work tree needs none of them
        options = (
            "core.fsmonitor=false",
            f"core.hooksPath={os.devnull}",
            "advice.detachedHead=false",
        )
        self._command = [git, "-C", str(directory)]
        for option in options:
            self._command += ["-c", option]
        self._environ = {
            **{name: value for name, value in environ.items() if not name.startswith("GIT_")},
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
        }

    def read(self, *words: str) -> str:
        """Return what a git command prints; raises TmError with its last words."""
        try:
            answer = subprocess.run(  # noqa: S603 - the program comes from PATH, never from here
                [*self._command, *words],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as problem:
            raise TmError(f"git cannot be run: {problem.strerror}") from None
        if answer.returncode != 0:
            said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = next((line for line in said if line.startswith("fatal: ")), "no message")
            raise TmError(f"git {words[0]} failed: {sanitize(reason.removeprefix('fatal: '))}")
        return answer.stdout.decode("utf-8", "replace").strip("\n")

    @property
    def git_dir(self) -> Path:
        """The directory of git's own files; raises ConfigurationError outside of a repository."""
        try:
            return Path(self.read("rev-parse", "--absolute-git-dir"))
        except TmError as problem:
            raise ConfigurationError(
                problem.message, hint="run `tm bisect` inside the repository of the service"
            ) from None

    def find(self, revision: str, name: str) -> Commit:
        """Return the commit that a revision means; `name` is what to call it in an error."""
        try:
            words = ("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
            found = self.read("rev-parse", *words)
        except TmError:
            raise UsageError(
                f"{name}: git knows no commit {sanitize(revision, longest=60)!r}",
                hint="in a shallow clone: `git fetch --unshallow`",
            ) from None
        return self._commits("-1", found)[0]

    def between(self, good: Commit, bad: Commit, *, first_parent: bool) -> list[Commit]:
        """Return the commits after `good` up to `bad`, parents first; `bad` is the last.

        Raises UsageError when BAD does not descend from GOOD.
        """
        if good.id == bad.id:
            raise UsageError("GOOD and BAD are the same commit")
        try:
            self.read("merge-base", "--is-ancestor", good.id, bad.id)
        except TmError:
            hint = (
                f"as GOOD, name `git merge-base {good.short} {bad.short}`, or the two the other "
                "way around"
            )
            if self.read("rev-parse", "--is-shallow-repository") == "true":
                hint = "this clone is shallow: `git fetch --unshallow` gets the commits between"
            raise UsageError(
                f"BAD ({bad.short}) does not descend from GOOD ({good.short})", hint=hint
            ) from None
        path = ("--first-parent",) if first_parent else ()
        return self._commits("--topo-order", "--reverse", *path, bad.id, f"^{good.id}")

    def _commits(self, *words: str) -> list[Commit]:
        form = _SEPARATOR.join(("%H", "%P", "%an", "%aI", "%s"))
        lines = self.read("log", "--no-show-signature", f"--format={form}", *words).split("\n")
        found = []
        for line in filter(None, lines):
            number, parents, author, date, subject = line.split(_SEPARATOR, 4)
            found.append(Commit(number, tuple(parents.split()), author, date, subject))
        return found

    def add_work_tree(self, place: Path, commit: str) -> None:
        """Check a commit out into a new directory."""
        self.read("worktree", "add", "--force", "--detach", str(place), commit)

    def remove_work_tree(self, place: Path) -> None:
        """Remove a work tree with all that was built in it, also one that is half there.

        `git worktree prune` would forget the user's own ones that are not mounted now.
        """
        import shutil

        for _ in range(2):  # git removes what is gone, but not what is damaged
            with suppress(TmError):
                self.read("worktree", "remove", "--force", "--force", str(place))
            shutil.rmtree(place, ignore_errors=True)
