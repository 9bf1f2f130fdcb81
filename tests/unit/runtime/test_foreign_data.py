"""A data directory that somebody else has prepared: nothing in it is believed or written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.services.trafficmorph import KEY, PROFILE, RUN, detail, page, profile, row, status
from tests.unit.runtime.announced import Stranger, announce, private, proves_itself
from tm_cli.errors import ConfigurationError
from tm_cli.runtime import local_server
from tm_cli.runtime.local_server import launch
from tm_cli.runtime.trusted_files import check_data_dir, prepare_data_dir
from tm_cli.server.data_dir import DataDir
from tm_cli.server.store.database import Database
from tm_cli.server.store.profiles import SettingStore

pytestmark = pytest.mark.process

FILES = (
    "tm.db", "tm.db-journal", "tm.db-wal", "tm.db-shm",
    "api-key", "server.json", "server.lock", "server.log",
)  # fmt: skip
POSIX = pytest.mark.skipif(os.name != "posix", reason="links and pipes")
ROOT = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
NOBODY = 65534


@pytest.fixture(params=["command", "serve"])
def refused(request, tm):
    """Let a command or `tm serve` use a directory; both must refuse it with one line and a hint."""

    def run(data: Path) -> str:
        words = ("profiles", "list") if request.param == "command" else ("serve", "--port", "0")
        environ = {"TM_BASE_URL": "local", "TM_DATA_DIR": str(data)}
        result = tm(*words, environ=environ, launch=launch)
        assert (result.exit_code, result.stdout) == (78, "")
        said, hint = result.stderr.splitlines()
        assert said.startswith("tm: ")
        assert hint.startswith("hint: ")
        return result.stderr

    return run


def contents(top: Path) -> dict[str, bytes | str]:
    """Everything below a directory, with where its links lead."""
    return {
        str(path.relative_to(top)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in top.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def commit(top: Path, *paths: str) -> None:
    for words in (["init", "--quiet"], ["add", "--force", *paths]):
        subprocess.run(["git", *words], cwd=top, check=True)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("target", ["kept.txt", "missing.txt"])
@POSIX
def test_a_link_in_the_place_of_a_file_is_refused_and_not_followed(refused, tmp_path, name, target):
    (tmp_path / "kept.txt").write_text("mine", encoding="utf-8")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / name).symlink_to(tmp_path / target)
    before = contents(tmp_path)
    assert f"{data / name} is a link" in refused(data)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", FILES)
@POSIX
def test_a_hard_link_a_pipe_and_a_directory_are_refused_as_well(refused, tmp_path, name):
    kept = tmp_path / "kept.txt"
    kept.write_text("mine", encoding="utf-8")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / name).hardlink_to(kept)
    assert "has a second name elsewhere" in refused(data)
    (data / name).unlink()
    os.mkfifo(data / name, 0o600)
    assert "is not a regular file" in refused(data)
    (data / name).unlink()
    (data / name).mkdir()
    assert "is not a regular file" in refused(data)
    assert kept.read_text(encoding="utf-8") == "mine"
    assert list(data.iterdir()) == [data / name]


@pytest.mark.parametrize("target", ["there", "missing"])
@POSIX
def test_a_linked_directory_is_refused_and_nothing_is_made_at_its_end(refused, tmp_path, target):
    (tmp_path / "there").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / target)
    before = contents(tmp_path)
    assert "is a link" in refused(tmp_path / "data")
    assert contents(tmp_path) == before
    assert not (tmp_path / "missing").exists()


def test_a_file_in_the_place_of_the_directory_is_refused(refused, tmp_path):
    (tmp_path / "data").write_text("mine", encoding="utf-8")
    assert "it is not a directory" in refused(tmp_path / "data")
    assert (tmp_path / "data").read_text(encoding="utf-8") == "mine"


@ROOT
def test_a_directory_of_another_user_is_refused(refused, tmp_path):
    data = announce(tmp_path / "data", "http://127.0.0.1:9")
    os.chown(data, NOBODY, -1)
    before = contents(tmp_path)
    assert f"{data} belongs to another user (id {NOBODY})" in refused(data)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", FILES)
@ROOT
def test_a_file_of_another_user_is_refused(refused, tmp_path, name):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    private(data / name, "theirs")
    os.chown(data / name, NOBODY, -1)
    assert f"{data / name} belongs to another user" in refused(data)
    assert contents(data) == {name: b"theirs"}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
@POSIX
def test_a_shared_directory_with_other_things_in_it_is_refused_and_left_alone(
    refused, tmp_path, mode
):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(mode)
    private(data / "notes.txt", "mine")
    assert f"other users may write to {data}" in refused(data)
    assert data.stat().st_mode & 0o7777 == mode
    assert contents(data) == {"notes.txt": b"mine"}


@POSIX
def test_a_key_that_others_may_read_is_refused(refused, tmp_path):
    data = announce(tmp_path / "data", "http://127.0.0.1:9")
    (data / "api-key").chmod(0o644)
    assert f"other users may read or write {data / 'api-key'}" in refused(data)


def test_a_key_without_its_database_is_refused_with_what_to_do(refused, tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    private(data / "api-key", KEY)
    assert "delete the file, and the next start makes a new key" in refused(data)
    assert (data / "api-key").read_text(encoding="utf-8") == KEY


# Committed


@pytest.fixture
def pretender(httpserver):
    """A server of a repository: it has the key that was committed and says PASS to everything."""
    url = proves_itself(httpserver)
    httpserver.expect_request("/tm/lease").respond_with_data("\n")
    started = {"runId": RUN, "status": "RUNNING", "profileId": PROFILE}
    for path, document in {
        f"/profiles/{PROFILE}": profile(),
        f"/profiles/{PROFILE}/start": started,
        f"/profiles/{PROFILE}/status": status("COMPLETED"),
        "/history/7": detail(autoVerdict="PASS"),
    }.items():
        httpserver.expect_request(f"/api/v1{path}").respond_with_json(document)
    for size, rows in (("1", []), ("20", [row(autoVerdict="PASS")])):
        asked = {"profileId": str(PROFILE), "triggeredBy": "api", "size": size, "page": "0"}
        expected = httpserver.expect_request("/api/v1/history", query_string=asked)
        expected.respond_with_json(page(*rows))
    return url


GATE = ("runs", "start", str(PROFILE), "--wait", "--fail-on", "FAIL,WARN,NO_BASELINE")


@pytest.mark.parametrize("name", [".tm", "x"])
@pytest.mark.parametrize("git", ["git", "no-git"])
def test_a_committed_server_that_says_pass_opens_no_gate(
    tm, httpserver, pretender, monkeypatch, name, git
):
    announce(tm.cwd / name, pretender)
    (tm.cwd / "tm.toml").write_text(f'data_dir = "{name}"\n', encoding="utf-8")
    commit(tm.cwd, name)
    if git == "no-git":
        monkeypatch.setenv("PATH", str(tm.cwd))
    result = tm(*GATE, environ={"CI": "true", "TM_BASE_URL": "local"}, launch=launch)
    assert result.exit_code == 78
    assert "a history from a repository is not believed" in result.stderr
    assert "git rm -r --cached" in result.stderr
    assert httpserver.log == []


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (".tm/tm.db", ()),
        (".tm/sub/any.txt", ()),
        (".tm/tm.db", ("-c", "index.version=4")),
        (".tm/tm.db", ("-c", "core.splitIndex=true")),
    ],
)
def test_any_committed_file_makes_a_directory_foreign(refused, tm, path, options):
    (tm.cwd / path).parent.mkdir(mode=0o700, parents=True)
    private(tm.cwd / path, "")
    for words in (["init", "--quiet"], [*options, "add", "--force", path]):
        subprocess.run(["git", *words], cwd=tm.cwd, check=True)
    assert "holds files of a git repository" in refused(tm.cwd / ".tm")


def test_a_committed_file_that_is_deleted_here_still_counts(refused, tm):
    announce(tm.cwd / ".tm", "http://127.0.0.1:9")
    commit(tm.cwd, ".tm")
    shutil.rmtree(tm.cwd / ".tm")
    assert "holds files of a git repository" in refused(tm.cwd / ".tm")
    assert not (tm.cwd / ".tm").exists()


def test_variables_of_git_do_not_lead_elsewhere(refused, tm, tmp_path, monkeypatch):
    announce(tm.cwd / ".tm", "http://127.0.0.1:9")
    commit(tm.cwd, ".tm")
    other = tmp_path / "other"
    other.mkdir()
    commit(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "none"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tm.cwd))
    assert "holds files of a git repository" in refused(tm.cwd / ".tm")


@POSIX
def test_the_configuration_of_a_repository_starts_nothing(refused, tm):
    announce(tm.cwd / ".tm", "http://127.0.0.1:9")
    commit(tm.cwd, ".tm")
    program = tm.cwd / "program"
    program.write_text(f"#!/bin/sh\ntouch {tm.cwd / 'started'}\n", encoding="utf-8")
    program.chmod(0o755)
    (tm.cwd / ".git" / "hooks").mkdir(exist_ok=True)
    for hook in ("fsmonitor-watchman", "post-index-change"):
        shutil.copy(program, tm.cwd / ".git" / "hooks" / hook)
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "alias.ls-files"):
        subprocess.run(["git", "config", name, str(program)], cwd=tm.cwd, check=True)
    assert "holds files of a git repository" in refused(tm.cwd / ".tm")
    assert not (tm.cwd / "started").exists()


@ROOT
@pytest.mark.parametrize("git", ["git", "no-git"])
def test_a_checkout_of_another_user_is_looked_at_all_the_same(refused, tm, monkeypatch, git):
    announce(tm.cwd / ".tm", "http://127.0.0.1:9")
    commit(tm.cwd, ".tm")
    for path in (tm.cwd / ".git", *(tm.cwd / ".git").rglob("*"), tm.cwd):
        os.chown(path, NOBODY, -1)
    if git == "no-git":
        monkeypatch.setenv("PATH", "")
    assert "holds files of a git repository" in refused(tm.cwd / ".tm")


@pytest.mark.parametrize("path", [os.environ["PATH"], ""], ids=["git", "no-git"])
def test_a_directory_whose_name_is_part_of_others_is_not_foreign(tmp_path, path):
    names = ("x.tm/a", ".tm2/a", "sub/.tm/a", "a.tm", ".tmp", "x/.tm")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        private(tmp_path / name, "")
    commit(tmp_path, *names)
    announce(tmp_path / ".tm", "http://127.0.0.1:9")
    check_data_dir(tmp_path / ".tm", {"PATH": path})
    commit(tmp_path, ".tm/api-key")
    with pytest.raises(ConfigurationError, match="holds files of a git repository"):
        check_data_dir(tmp_path / ".tm", {"PATH": path})


@pytest.mark.parametrize("path", [os.environ["PATH"], ""], ids=["git", "no-git"])
def test_a_worktree_and_a_module_are_repositories_too(tmp_path, path):
    main = tmp_path / "main"
    announce(main / ".tm", "http://127.0.0.1:9")
    commit(main, ".tm")
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *author, "commit", "--quiet", "-m", "x"], cwd=main, check=True)
    subprocess.run(["git", "worktree", "add", "--quiet", "../other"], cwd=main, check=True)
    module = tmp_path / "top" / "module"
    subprocess.run(["git", "clone", "--quiet", str(main), str(module)], check=True)
    commit(tmp_path / "top", "module")
    for place in (tmp_path / "other" / ".tm", module / ".tm", module):
        place.chmod(0o700)
        with pytest.raises(ConfigurationError, match="holds files of a git repository"):
            check_data_dir(place, {"PATH": path})


@ROOT
def test_a_directory_that_cannot_be_written_to_is_refused_before_a_server_is_started():
    with tempfile.TemporaryDirectory() as shared:
        data = Path(shared) / "data"
        data.mkdir()
        for path in (Path(shared), data):
            os.chown(path, NOBODY, NOBODY)
        data.chmod(0o500)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(ConfigurationError, match="nothing can be written in") as refused:
                prepare_data_dir(data, {})
        finally:
            os.seteuid(0)
        assert "TM_DATA_DIR" in str(refused.value.hint)


GIT = pytest.mark.parametrize("path", [os.environ["PATH"], ""], ids=["git", "no-git"])


@GIT
@POSIX
def test_another_name_of_the_same_directory_is_foreign_too(tmp_path, path):
    """Disks that take `.TM` for `.tm` are used on every system; a link stands for one here."""
    announce(tmp_path / ".TM", "http://127.0.0.1:9")
    commit(tmp_path, ".TM")
    if not (tmp_path / ".tm").exists():
        (tmp_path / ".TM").rename(tmp_path / ".tm")
        (tmp_path / ".TM").symlink_to(".tm")
    with pytest.raises(ConfigurationError, match="holds files of a git repository"):
        check_data_dir(tmp_path / ".tm", {"PATH": path})


@GIT
def test_a_directory_that_only_sounds_the_same_is_not_foreign(tmp_path, path):
    announce(tmp_path / ".TM", "http://127.0.0.1:9")
    if (tmp_path / ".tm").exists():
        pytest.skip("this disk takes .TM for .tm")
    commit(tmp_path, ".TM")
    announce(tmp_path / ".tm", "http://127.0.0.1:9")
    check_data_dir(tmp_path / ".tm", {"PATH": path})


INDEXES = {
    "version 4": ("-c", "index.version=4"),
    "split": ("-c", "core.splitIndex=true"),
}


@pytest.mark.parametrize("options", [*INDEXES.values(), None], ids=[*INDEXES, "damaged"])
def test_an_index_that_cannot_be_read_without_git_is_believed_to_hold_anything(tmp_path, options):
    announce(tmp_path / ".tm", "http://127.0.0.1:9")
    for words in (["init", "--quiet"], [*(options or ()), "add", "--force", ".tm"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    if options is None:
        (tmp_path / ".git" / "index").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot tell which files come with") as refused:
        check_data_dir(tmp_path / ".tm", {"PATH": ""})
    assert "TM_DATA_DIR" in str(refused.value.hint)


# A stranger at the port of a server that was killed


@pytest.fixture
def left_behind(tmp_path):
    """The directory of a server that was killed, and its key; `server.json` is still to write."""
    data = DataDir(tmp_path / "data")
    with data.exclusive(), closing(Database.open(data.database)) as database:
        return data.path, data.key(SettingStore(database))


def test_a_stranger_at_the_port_hears_no_key_and_a_new_server_is_started(tm, left_behind):
    data, key = left_behind
    with Stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]") as stranger:
        announce(data, stranger.url, key=key)
        environ = {"TM_BASE_URL": "local", "TM_DATA_DIR": str(data)}
        result = tm("profiles", "list", "-v", environ=environ, launch=launch)
    assert result.exit_code == 0, result.stderr
    assert "started the embedded server" in result.stderr
    assert stranger.url not in result.stderr
    assert stranger.heard
    assert key.encode() not in stranger.all_heard


def test_a_silent_stranger_is_asked_once_by_the_command_and_once_by_its_server(
    left_behind, monkeypatch
):
    data, key = left_behind
    monkeypatch.setattr(local_server, "PROOF_TIMEOUT", 0.2)
    with Stranger() as stranger:
        announce(data, stranger.url, key=key)
        launch(data).close()
    assert len(stranger.heard) == 2
    assert key.encode() not in stranger.all_heard


@pytest.mark.parametrize("name", [".tm", "my data", "it's $HOME; x"])
@pytest.mark.parametrize("fault", ["tracked", "hard link", "readable key", "writable directory"])
@POSIX
def test_what_the_hint_says_ends_the_refusal_and_keeps_the_history(
    tmp_path, monkeypatch, name, fault
):
    """A hint is a command to be copied, whatever the directory is called."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / name
    prepare_data_dir(data, os.environ)
    (data / "tm.db").write_bytes(b"history")
    private(data / "api-key", KEY)
    match fault:
        case "tracked":
            commit(tmp_path, name)
        case "hard link":
            (tmp_path / "backup.db").hardlink_to(data / "tm.db")
        case "readable key":
            (data / "api-key").chmod(0o644)
        case _:
            data.chmod(0o777)
            (data / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigurationError) as refusal:
        prepare_data_dir(data, os.environ)
    hint = str(refusal.value.hint).removeprefix("keep a copy of its own: ")
    command = re.split(", and delete|; or choose|; where that", hint)[0]
    subprocess.run(command, shell=True, check=True, capture_output=True)
    prepare_data_dir(data, os.environ)
    assert (data / "tm.db").read_bytes() == b"history"
