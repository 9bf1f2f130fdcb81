"""Commits between two, and work trees that leave the user's alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tm_cli.bisect.repository import Commit, Repository, read_head
from tm_cli.bisect.services import MARK, end_leftovers, environment
from tm_cli.bisect.state import State, StateFile, Terms
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.runtime.subprocesses import SubprocessGroup, kill_all, shell_command

pytestmark = pytest.mark.process

AS_ANN = {
    "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
}  # fmt: skip
PLAIN = {"PATH": os.environ["PATH"]}


def git(place: Path, *words: str) -> str:
    command = ["git", "-C", str(place), *words]
    return subprocess.run(
        command, env={**PLAIN, **AS_ANN}, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(place: Path, text: str) -> str:
    (place / "file").write_text(text, encoding="utf-8")
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", text)
    return git(place, "rev-parse", "HEAD")


@pytest.fixture
def place(tmp_path):
    """A repository with a line of three commits and a merged branch after them."""
    git(tmp_path, "init", "-q", "-b", "main")
    for text in ("one", "two", "three"):
        commit(tmp_path, text)
    git(tmp_path, "checkout", "-q", "-b", "branch")
    commit(tmp_path, "on the branch")
    git(tmp_path, "checkout", "-q", "main")
    git(tmp_path, "merge", "-q", "--no-ff", "-m", "merged", "branch")
    return tmp_path


@pytest.fixture
def repository(place):
    return Repository(place, PLAIN)


def between(repository, good, bad, **options):
    ends = repository.find(good, "GOOD"), repository.find(bad, "BAD")
    return [found.subject for found in repository.between(*ends, **options)]


def test_commits_come_oldest_first_and_end_with_bad(repository):
    found = between(repository, "HEAD~3", "HEAD", first_parent=False)
    assert found == ["two", "three", "on the branch", "merged"]


def test_first_parent_leaves_merged_branches_out(repository):
    assert between(repository, "HEAD~3", "HEAD", first_parent=True) == ["two", "three", "merged"]


@pytest.mark.parametrize("revision", ["nothing", "--all", "", "HEAD:file"])
def test_what_is_no_commit_is_named(repository, revision):
    with pytest.raises(UsageError, match="GOOD: git knows no commit"):
        repository.find(revision, "GOOD")


def test_bad_must_descend_from_good(repository):
    with pytest.raises(UsageError, match="does not descend"):
        between(repository, "HEAD", "HEAD~2", first_parent=False)
    with pytest.raises(UsageError, match="same commit"):
        between(repository, "HEAD", "main", first_parent=False)


def test_outside_of_a_repository_it_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="not a git repository"):
        _ = Repository(tmp_path, {**PLAIN, "GIT_CEILING_DIRECTORIES": str(tmp_path)}).git_dir
    assert read_head(tmp_path) is None


def test_without_git_it_says_so():
    with pytest.raises(ConfigurationError, match="git is not installed"):
        Repository(Path(), {"PATH": "/nowhere"})


def test_head_is_read_of_a_branch_a_packed_one_a_commit_and_a_work_tree(place, repository):
    def is_right(where):
        return read_head(where) == git(where, "rev-parse", "HEAD")

    inner = place / "src"
    inner.mkdir()
    assert is_right(place)
    assert read_head(inner) == read_head(place)
    git(place, "pack-refs", "--all")
    assert is_right(place)
    git(place, "worktree", "add", "-q", "-b", "other", str(inner / "tree"), "HEAD~1")
    assert is_right(inner / "tree")
    git(place, "checkout", "-q", "--detach", "HEAD~2")
    assert is_right(place)


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "ref: ../../x", "nonsense", "\xff"])
def test_head_that_cannot_be_read_is_not_known(tmp_path, head):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(head.encode("latin-1"))
    assert read_head(tmp_path) is None


def test_work_trees_leave_the_users_own_alone(place, repository, tmp_path_factory):
    (place / "file").write_text("being edited", encoding="utf-8")
    git(place, "add", "file")
    (place / "new").touch()
    before = git(place, "status", "--porcelain"), git(place, "diff", "--cached")
    there = tmp_path_factory.mktemp("trees") / "two"
    repository.add_work_tree(there, repository.find("HEAD~2", "GOOD").id)
    assert (there / "file").read_text(encoding="utf-8") == "two"
    (there / "built").touch()
    repository.remove_work_tree(there)
    assert not there.exists()
    assert len(git(place, "worktree", "list").splitlines()) == 1
    assert (git(place, "status", "--porcelain"), git(place, "diff", "--cached")) == before
    assert (place / "file").read_text(encoding="utf-8") == "being edited"


def test_hooks_of_the_repository_are_not_run(place, repository, tmp_path_factory):
    hook = place / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {place}/ran\n", encoding="utf-8")
    hook.chmod(0o755)
    there = tmp_path_factory.mktemp("trees") / "one"
    repository.add_work_tree(there, repository.find("HEAD~3", "GOOD").id)
    assert not (place / "ran").exists()


def test_subjects_are_shown_harmless():
    assert "\x1b" not in str(Commit("a" * 40, subject="\x1b[31mred\x1b[0m"))
    assert len(str(Commit("a" * 40, subject="long " * 100))) <= 72


def test_state_survives_the_file(tmp_path):
    file = StateFile(tmp_path / "tm-bisect")
    state = State(Terms("make", "serve", "p"), Commit("0"), [Commit("1", ("0",))], "mark", "/tmp/x")
    with file.locked():
        file.write(state)
        assert file.read() == state
        if os.name != "nt":
            assert (tmp_path / "tm-bisect" / "state.json").stat().st_mode & 0o077 == 0
        file.clear()
    assert file.read() is None


def test_two_processes_do_not_work_on_one_search(tmp_path):
    file = StateFile(tmp_path / "tm-bisect")
    other = StateFile(tmp_path / "tm-bisect")
    with (
        file.locked(),
        pytest.raises(ConfigurationError, match="another tm is at work"),
        other.locked(),
    ):
        pass
    with other.locked():
        pass


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1}', "nonsense"])
def test_state_that_cannot_be_read_is_refused(tmp_path, text):
    (tmp_path / "state.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot read the bisection"):
        StateFile(tmp_path).read()


def test_builds_do_not_see_the_keys_of_tm():
    kept = environment(
        {"TM_API_KEY": "k", "RUNLOOP_API_KEY": "k", "STRAIT_API_KEY": "k", "GIT_DIR": "x",
         "NPM_TOKEN": "theirs", "PATH": "/bin"}, "mark",
    )  # fmt: skip
    assert kept == {"NPM_TOKEN": "theirs", "PATH": "/bin", MARK: "mark"}


@pytest.mark.skipif(os.name == "nt", reason="the commands are of a POSIX shell")
def test_shell_reads_the_command_in_its_directory_and_the_log_has_its_output(tmp_path):
    log = tmp_path / "log"
    words = shell_command("echo $WORD && pwd; exit 3", PLAIN)
    group = SubprocessGroup(words, {**PLAIN, "WORD": "hello"}, directory=tmp_path, output=log)
    group._process.wait(30)
    group.end(10.0)
    assert group.poll() == 3
    assert log.read_text(encoding="utf-8").splitlines() == ["hello", str(tmp_path)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc shows environments")
def test_what_a_killed_tm_has_left_behind_is_ended_and_nothing_else():
    ours, other = (
        subprocess.Popen(["/bin/sleep", "60"], env={**PLAIN, MARK: mark}, start_new_session=True)
        for mark in ("a-mark", "another-mark")
    )
    try:
        end_leftovers("a-mark")
        assert ours.wait(10) == -9
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.skipif(os.name == "nt", reason="process groups are of POSIX")
def test_all_groups_can_be_ended_at_once():
    group = SubprocessGroup(["/bin/sleep", "60"], PLAIN)
    kill_all()
    group.end(10.0)
    assert group.poll() == -9


def test_commits_that_a_shallow_clone_lacks_are_the_reason_that_is_told(place, tmp_path):
    git(place, "clone", "-q", "--depth", "1", place.as_uri(), str(place / "clone"))
    git(place / "clone", "fetch", "-q", "--depth", "1", "origin", git(place, "rev-parse", "HEAD~1"))
    with pytest.raises(UsageError) as caught:
        between(Repository(place / "clone", PLAIN), "FETCH_HEAD", "HEAD", first_parent=False)
    assert "git fetch --unshallow" in caught.value.hint


def test_directory_that_cannot_be_searched_belongs_to_no_known_commit(tmp_path):
    assert read_head(tmp_path / ("x" * 300) / "y") is None


@pytest.mark.parametrize("damage", ["gone", "without .git"])
def test_damaged_work_tree_is_forgotten_and_those_of_the_user_are_not(place, repository, damage):
    own, mine = place / "own", place / "mine"
    git(place, "worktree", "add", "--detach", str(own))
    own.rename(place / "not mounted")
    repository.add_work_tree(mine, "HEAD")
    (mine / ".git").unlink()
    if damage == "gone":
        (mine / "file").unlink()
        mine.rmdir()
    repository.remove_work_tree(mine)
    trees = git(place, "worktree", "list")
    assert str(own) in trees
    assert str(mine) not in trees
    assert not mine.exists()
