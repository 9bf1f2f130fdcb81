"""Whose settings files are read, how far up they are looked for, and what they must not decide."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.services.trafficmorph import KEY
from tm_cli.errors import ConfigurationError
from tm_cli.exit_codes import ExitCode
from tm_cli.settings import load_settings, project_root

OTHER = 54321
posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and sockets")
as_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can give files away"
)
SERVER = {"TM_BASE_URL": "http://127.0.0.1:9", "TM_API_KEY": KEY}
KEYS = {"RUNLOOP_API_KEY": KEY, "STRAIT_API_KEY": KEY}
AT_NO_SERVER = ("--base-url", "http://127.0.0.1:9")
TRUSTED = {"TM_TRUSTED_OWNERS": f"7,{OTHER}"}


def write(path: Path, text: str, *, owner: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if owner is not None:
        os.chown(path, owner, owner)
    return path


def load(cwd: Path, environ: dict[str, str] | None = None):
    return load_settings({}, environ or {}, cwd=cwd, user_dir=cwd / "user")


# How far up


@pytest.mark.parametrize("name", ["tm.toml", "pyproject.toml"])
def test_own_project_file_above_the_repository_counts_and_the_nearest_wins(tmp_path, name):
    head = "[tool.tm]\n" if name == "pyproject.toml" else ""
    write(tmp_path / name, f'{head}region = "outside"\n')
    deep = tmp_path / "shop" / "src" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "shop" / ".git").mkdir()
    assert load(deep).value("region") == "outside"
    write(tmp_path / "shop" / name, f'{head}region = "inside"\n')
    assert load(deep).value("region") == "inside"


@as_root
@pytest.mark.parametrize("git", ["directory", "file"])
def test_file_of_another_user_above_the_repository_is_passed_over(tmp_path, git):
    """It cannot change what happens in the repository, not even stop a gate there."""
    write(tmp_path / "tm.toml", 'region = "outside"', owner=OTHER)
    if git == "directory":
        (tmp_path / "shop" / ".git").mkdir(parents=True)
    else:
        write(tmp_path / "shop" / ".git", "gitdir: elsewhere")
    settings = load(tmp_path / "shop")
    assert settings.value("region") is None
    assert settings.ignored == ()


@pytest.mark.parametrize("home", ["", ".", "..", "services", "services/a", "services/a/deep", None])
@pytest.mark.parametrize("git", ["directory", "file", "none"])
def test_no_home_hides_settings_above(tmp_path, monkeypatch, home, git):
    """Pipelines set HOME to `.` or a place in the checkout; a lost `fail_on` is a false pass."""
    cwd = tmp_path / "services" / "a" / "deep"
    cwd.mkdir(parents=True)
    if git == "directory":
        (tmp_path / ".git").mkdir()
    if git == "file":
        write(tmp_path / ".git", "gitdir: elsewhere")
    write(tmp_path / "tm.toml", 'fail_on = "FAIL"')
    monkeypatch.chdir(cwd)
    for variable in ("HOME", "USERPROFILE"):
        if home is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, str(tmp_path / home) if "services" in home else home)
    assert load(cwd).value("fail_on") == "FAIL"
    assert project_root(cwd) == tmp_path


def test_worktree_whose_git_is_a_file_is_the_root(tmp_path):
    write(tmp_path / "tm.toml", "")
    write(tmp_path / "shop" / ".git", "gitdir: elsewhere")
    assert project_root(tmp_path / "shop") == tmp_path / "shop"


# Whose


FILES = {
    "tm.toml": 'fail_on = "FAIL"\nregion = "theirs"\n[gate]\np95 = {fail = "25%"}\n',
    "pyproject.toml": '[tool.tm]\nfail_on = "FAIL"\nregion = "theirs"\n',
}


@as_root
@pytest.mark.parametrize("name", FILES)
def test_project_file_of_another_user_is_not_read_and_this_is_said_once(tm, name):
    path = write(tm.cwd / name, FILES[name], owner=OTHER)
    result = tm("config", "show", "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["region"]["value"] is None
    assert result.json["data"]["fail_on"]["value"] is None
    (line,) = result.stderr.splitlines()
    assert str(path) in line
    assert f"TM_TRUSTED_OWNERS={OTHER}" in line


@as_root
def test_note_about_a_file_of_another_user_is_not_silenced(tm):
    write(tm.cwd / "tm.toml", "", owner=OTHER)
    assert "is not read" in tm("config", "show", "--quiet").stderr


@as_root
@pytest.mark.parametrize("name", FILES)
def test_project_file_of_a_trusted_owner_is_read(tm, name):
    write(tm.cwd / name, FILES[name], owner=OTHER)
    result = tm("config", "show", "--json", environ=TRUSTED)
    assert result.json["data"]["region"]["value"] == "theirs"
    assert result.stderr == ""


@as_root
def test_user_file_of_another_user_is_not_read(tm):
    write(tm.home / "config.toml", '[contexts.a]\nregion = "theirs"', owner=OTHER)
    result = tm("config", "show", "--json")
    assert result.json["data"]["region"]["value"] is None
    assert "config.toml is not read" in result.stderr
    assert tm("config", "show", "--context", "a", "--json", environ=TRUSTED).json


@as_root
def test_file_that_all_may_write_counts_by_its_owner(tm):
    """GitLab's runner clones with such modes."""
    write(tm.cwd / "tm.toml", 'region = "ours"').chmod(0o666)
    assert tm("config", "show", "--json").json["data"]["region"]["value"] == "ours"


@as_root
@pytest.mark.parametrize("whose", ["link", "file"])
def test_link_counts_with_its_own_owner_and_that_of_its_file(tm, whose):
    target = write(tm.cwd.parent / "elsewhere.toml", 'region = "linked"')
    link = tm.cwd / "tm.toml"
    link.symlink_to(target)
    assert load(tm.cwd).value("region") == "linked"
    os.chown(link if whose == "link" else target, OTHER, OTHER, follow_symlinks=False)
    assert load(tm.cwd).value("region") is None
    assert [file.owner for file in load(tm.cwd).ignored] == [OTHER]


@as_root
def test_pyproject_of_another_user_without_settings_keeps_nobody_from_a_gate(tmp_path):
    write(tmp_path / "pyproject.toml", '[project]\nname = "tm"\n[tool.black]\n', owner=OTHER)
    load(tmp_path).require_all_files()


@as_root
@pytest.mark.parametrize(
    "text",
    ["[tool.tm]", "[tool.tm", "tool.tm = 1", "tm = " + "[" * 9999, '[tool."\\u0074m" x', "\0"],
)
def test_pyproject_of_another_user_that_may_have_settings_counts_as_ignored(tmp_path, text):
    write(tmp_path / "pyproject.toml", text, owner=OTHER)
    assert [file.owner for file in load(tmp_path).ignored] == [OTHER]


@as_root
@pytest.mark.parametrize("name", FILES)
def test_file_of_another_user_that_cannot_be_read_stops_no_other_command(name):
    """A neighbour could stop every command below a shared directory with it."""
    with tempfile.TemporaryDirectory() as directory:
        shared = Path(directory)
        shared.chmod(0o755)
        write(shared / name, "", owner=OTHER).chmod(0o600)
        os.seteuid(OTHER + 1)
        try:
            settings = load(shared)
        finally:
            os.seteuid(0)
    assert [file.owner for file in settings.ignored] == [OTHER]


@as_root
@pytest.mark.parametrize("own", [True, False])
def test_own_directory_that_is_closed_may_have_settings_and_that_of_another_user_has_none(own):
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        (home / "tm").mkdir(parents=True)
        Path(directory).chmod(0o755)
        if own:
            os.chown(home, OTHER, OTHER)
        home.chmod(0)
        os.seteuid(OTHER)
        try:
            if own:
                with pytest.raises(ConfigurationError, match="cannot look for settings"):
                    load_settings({}, {}, cwd=Path("/"), user_dir=home / "tm")
            else:
                settings = load_settings({}, {}, cwd=Path("/"), user_dir=home / "tm")
                assert settings.user is None
                named = {"TM_CONFIG_DIR": str(home / "tm")}
                with pytest.raises(ConfigurationError, match="cannot look for settings"):
                    load_settings({}, named, cwd=Path("/"), user_dir=home / "tm")
        finally:
            os.seteuid(0)


GATES = [
    ("runs", "start", "1", "--wait", "--fail-on", "FAIL"),
    ("runs", "start", "1"),
    ("runs", "wait", "1"),
    ("runs", "wait", "--last"),
    ("benchmarks", "start", "b", "--wait", "--min-score", "1", *AT_NO_SERVER),
    ("benchmarks", "start", "b", *AT_NO_SERVER),
    ("benchmarks", "wait", "r", "--min-score", "1", *AT_NO_SERVER),
    ("benchmarks", "wait", "--last"),
    ("jobs", "start", "j", "--wait", *AT_NO_SERVER),
    ("jobs", "start", "j", *AT_NO_SERVER),
    ("jobs", "wait", "r", *AT_NO_SERVER),
    ("jobs", "wait", "--last"),
]


@as_root
@pytest.mark.parametrize("name", ["tm.toml", "pyproject.toml", "config.toml"])
@pytest.mark.parametrize("words", GATES, ids=" ".join)
def test_gate_is_refused_when_its_settings_are_not_read(tm, words, name):
    place = tm.home if name == "config.toml" else tm.cwd
    write(place / name, FILES.get(name, 'fail_on = "FAIL"'), owner=OTHER)
    result = tm(*words, environ=SERVER | KEYS)
    assert result.exit_code == ExitCode.CONFIGURATION, result.stderr
    assert "could pass by mistake" in result.stderr
    allowed = tm(*words, environ=SERVER | KEYS | TRUSTED)
    assert "could pass by mistake" not in allowed.stderr


@as_root
def test_doctor_ends_as_a_gate_would(tm):
    write(tm.cwd / "tm.toml", "", owner=OTHER)
    result = tm("doctor", environ=SERVER)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert f"TM_TRUSTED_OWNERS={OTHER}" in result.stdout


@as_root
def test_setup_check_names_the_file_that_is_not_read(tm):
    write(tm.cwd / "tm.toml", 'fail_on = "FAIL"', owner=OTHER)
    result = tm("init", "--check")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "is not read" in result.stdout
    assert "is not read" not in tm("init", "--check", environ=TRUSTED).stdout


@pytest.mark.process
@as_root
def test_data_directory_that_another_user_chose_above_is_not_used(tmp_path):
    """A real command in a directory like /tmp, where another user has left a project file."""
    shared = tmp_path / "shared"
    write(shared / "tm.toml", f'data_dir = "{shared}/evil"', owner=OTHER)
    shared.chmod(0o1777)
    (shared / "evil").mkdir()
    work = shared / "x" / "y"
    work.mkdir(parents=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
    result = subprocess.run(
        [sys.executable, "-P", "-m", "tm_cli", "profiles", "list", "--json"],
        cwd=work,
        env={**kept, "TM_BASE_URL": "local"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert result.returncode == ExitCode.OK, result.stderr
    assert f"{shared / 'tm.toml'} is not read" in result.stderr
    assert json.loads(result.stdout)["data"] is not None
    assert not list((shared / "evil").iterdir())


# What a project must not decide


@pytest.mark.parametrize(
    "line",
    [
        'ca_file = "evil.pem"',
        "allow_insecure_http = true",
        'api_key_file = "k"',
        'capture_sources = "evil.toml"',
        "require_verified_domains = false",
        "history_retention_days = 1",
        "max_rps = 0",
    ],
)
@pytest.mark.parametrize("name", ["tm.toml", "pyproject.toml"])
def test_project_file_decides_nothing_about_trust(tm, name, line):
    head = "[tool.tm]\n" if name == "pyproject.toml" else ""
    write(tm.cwd / name, head + line)
    for words in (("profiles", "list"), ("agent", "--region", "r"), ("jobs", "list")):
        result = tm(*words, environ=SERVER)
        assert result.exit_code == ExitCode.CONFIGURATION
        assert "not a project's choice" in result.stderr


def test_users_own_ca_file_is_used(tm):
    write(tm.home / "config.toml", 'ca_file = "ours.pem"')
    assert tm("config", "show", "--json").json["data"]["ca_file"]["value"] == "ours.pem"


@pytest.mark.parametrize(
    "chosen", ["/tmp/elsewhere", "../elsewhere", "a/../../b", "~", "~/x", "link", "link/deeper"]
)
def test_project_file_chooses_no_data_directory_outside_the_project(tm, chosen):
    (tm.cwd / "link").symlink_to(tm.cwd.parent, target_is_directory=True)
    write(tm.cwd / "tm.toml", f'data_dir = "{chosen}"')
    result = tm("profiles", "list", environ={"TM_BASE_URL": "local"})
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "not in the project" in result.stderr


@pytest.mark.parametrize("chosen", [".tm", "data/tm", "./a/../b"])
def test_project_file_chooses_a_data_directory_in_the_project(tm, chosen):
    write(tm.cwd / "tm.toml", f'data_dir = "{chosen}"')
    asked = []

    def launch(directory):
        asked.append(directory)
        raise KeyboardInterrupt

    tm("profiles", "list", environ={"TM_BASE_URL": "local"}, launch=launch)
    assert asked == [tm.cwd / chosen]


def test_data_directory_of_a_user_who_does_not_exist_is_a_configuration_error(tm):
    environ = {"TM_BASE_URL": "local", "TM_DATA_DIR": "~no-such-user/d"}
    result = tm("profiles", "list", environ=environ)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "does not exist" in result.stderr


# What is there and cannot be read


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(path))  # the whole path would be too long


UNREADABLE = {
    "link that leads nowhere": lambda path: path.symlink_to("missing.toml"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a directory": lambda path: path.symlink_to("."),
    "directory": Path.mkdir,
    "pipe": make_pipe,
    "socket": make_socket,
}


@posix
@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_pyproject_that_cannot_be_read_refuses_a_gate_and_no_other_command(
    tmp_path, monkeypatch, make
):
    """It may be that of another program, and it may have had a `fail_on`."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "pyproject.toml")
    settings = load(tmp_path)
    assert settings.project is None
    with pytest.raises(ConfigurationError, match="without its settings could pass") as refused:
        settings.require_all_files()
    assert refused.value.hint


@posix
@pytest.mark.parametrize("name", ["tm.toml", "config.toml"])
@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_settings_that_cannot_be_read_are_not_taken_for_none(tmp_path, monkeypatch, name, make):
    """A gate would lose its `fail_on` and pass."""
    directory = tmp_path / "user" if name == "config.toml" else tmp_path
    directory.mkdir(exist_ok=True)
    monkeypatch.chdir(directory)
    make(directory / name)
    with pytest.raises(ConfigurationError, match=f"cannot read .*{name}") as refused:
        load(tmp_path)
    assert refused.value.hint


@posix
@pytest.mark.parametrize("name", ["tm.toml", "config.toml"])
def test_link_to_the_null_device_is_an_empty_file(tmp_path, name):
    directory = tmp_path / "user" if name == "config.toml" else tmp_path
    directory.mkdir(exist_ok=True)
    (directory / name).symlink_to(os.devnull)
    assert load(tmp_path).value("fail_on") is None


@as_root
@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_what_another_user_left_there_holds_nothing_up_and_refuses_a_gate(
    tmp_path, monkeypatch, make
):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "tm.toml")
    os.chown(tmp_path / "tm.toml", OTHER, OTHER, follow_symlinks=False)
    settings = load(tmp_path)
    assert [Path(file.place).name for file in settings.ignored] == ["tm.toml"]
    with pytest.raises(ConfigurationError, match="without its settings"):
        settings.require_all_files()


@pytest.mark.process
@as_root
@pytest.mark.parametrize("closed", ["project", "home"])
def test_directory_that_may_not_be_entered_is_a_refusal_with_a_hint(closed):
    """Such as the home of root, whose name `sudo -u` and containers leave in HOME."""
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        top.chmod(0o755)
        (top / "project" / "inner").mkdir(parents=True)
        (top / "home").mkdir()
        (top / closed).chmod(0o700)
        answer = subprocess.run(
            [sys.executable, "-m", "tm_cli", "profiles", "list"],
            env={"PATH": os.environ["PATH"], "TM_CONFIG_DIR": str(top / "home")},
            cwd=top / "project" / "inner",
            user=OTHER,
            capture_output=True,
            text=True,
            check=False,
        )
    assert answer.returncode == ExitCode.CONFIGURATION, answer.stderr
    said, hint = answer.stderr.splitlines()
    assert said.startswith(f"tm: cannot look for settings in {top}")
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    "text",
    [
        '[[tool.tm]]\nfail_on = "FAIL"',
        '[tool]\ntm = "FAIL"',
        "tool.tm = []",
        "tool.tm = 0",
        '[[tool]]\ntm.fail_on = "FAIL"',
    ],
)
def test_settings_that_are_no_table_are_not_passed_over(tmp_path, text):
    write(tmp_path / "pyproject.toml", text)
    with pytest.raises(ConfigurationError, match="must be a table"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "tool = 5", "[tool]", "[tool.other]\ntm = 1", "[[tool]]"])
def test_a_pyproject_without_settings_is_none(tmp_path, text):
    write(tmp_path / "pyproject.toml", text)
    assert load(tmp_path).project is None


MISSPELT = (*("[tool.tm-cli]", "[tool.tm_cli]", "[tool.TM]", "[tools.tm]", "[tm]", '["tool.tm"]'),)


@pytest.mark.parametrize("table", MISSPELT)
def test_table_with_nearly_the_name_of_the_settings_refuses_a_gate(tmp_path, table):
    write(tmp_path / "pyproject.toml", f'[project]\nname = "x"\n{table}\nfail_on = "FAIL"\n')
    settings = load(tmp_path)
    with pytest.raises(ConfigurationError, match=re.escape(f"has {table}, which means")) as found:
        settings.require_all_files()
    assert found.value.hint == "did you mean [tool.tm]?"


@pytest.mark.parametrize(
    "text", ["[tool.tmx]", "[tool.x.tm]", "[tool.poetry.dependencies]\ntm-cli = '1'", "tmp = 1"]
)
def test_tables_of_other_programs_keep_no_gate_from_its_start(tmp_path, text):
    write(tmp_path / "pyproject.toml", text)
    load(tmp_path).require_all_files()


@pytest.mark.parametrize("broken", ["", "\nx = {{ y }}"])
def test_two_files_with_settings_in_one_directory_refuse_a_gate(tmp_path, broken):
    write(tmp_path / "tm.toml", 'region = "eu"')
    write(tmp_path / "pyproject.toml", '[tool.tm]\nfail_on = "FAIL"' + broken)
    settings = load(tmp_path)
    assert settings.value("region") == "eu"
    with pytest.raises(ConfigurationError, match=r"\[tool\.tm\] in .*pyproject\.toml is not read"):
        settings.require_all_files()


def test_pyproject_of_other_programs_next_to_the_project_file_keeps_no_gate_from_its_start(
    tmp_path,
):
    write(tmp_path / "tm.toml", 'region = "eu"')
    write(tmp_path / "pyproject.toml", "[tool.ruff]\nline-length = 100\n{{ x }}")
    load(tmp_path).require_all_files()


def test_hidden_settings_file_refuses_a_gate(tmp_path):
    write(tmp_path / ".tm.toml", 'fail_on = "FAIL"')
    with pytest.raises(ConfigurationError, match=r"\.tm\.toml is not read") as refused:
        load(tmp_path / "deep").require_all_files()
    assert refused.value.hint.endswith("is tm.toml")


def test_project_settings_in_place_of_the_users_refuse_a_gate(tmp_path):
    write(tmp_path / "user" / "tm.toml", 'fail_on = "FAIL"')
    shop = tmp_path / "shop"
    settings = load_settings({}, {}, cwd=shop, user_dir=tmp_path / "user")
    with pytest.raises(ConfigurationError, match=r"tm\.toml is not read") as refused:
        settings.require_all_files()
    assert refused.value.hint.endswith("is config.toml")
    own = load_settings({}, {}, cwd=tmp_path / "user", user_dir=tmp_path / "user")
    own.require_all_files()
    assert own.value("fail_on") == "FAIL"


BROKEN = {
    "template": b'[project]\nname = "{{ cookiecutter.name }}\n{% if x %}\n[tool.poetry]\n',
    "Latin-1": b'[project]\ndescription = "caf\xe9"\n[tool.black]\n',
    "deep": b"x = " + b"[" * 5000,
    "long number": b"x = " + b"9" * 5000,
    "conflict": b"<<<<<<< HEAD\n[tool.ruff]\n=======\ntm-cli = 1\n>>>>>>> x\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_pyproject_of_another_program_is_passed_by(tmp_path, data):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "pyproject.toml").write_bytes(data)
    settings = load(inner)
    settings.require_all_files()
    assert settings.project is None


OURS = (b'[tool.tm]\nfail_on = "FAIL"\n', b'tool = {"tm" = {}}\n', b'[tool."t\\u006d"]\n')


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("settings", OURS)
def test_broken_pyproject_that_may_have_settings_stops_every_command(tmp_path, data, settings):
    (tmp_path / "pyproject.toml").write_bytes(settings + data)
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load(tmp_path)


def test_pyproject_in_another_encoding_that_may_have_settings_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.tm]\nfail_on = "FAIL"\n', encoding="utf-16")
    with pytest.raises(ConfigurationError, match="it is not UTF-8"):
        load(tmp_path)


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="chmod")
def test_hint_about_a_key_that_others_may_read_is_a_command_also_for_a_name_with_blanks(tmp_path):
    """On macOS the user's directory is in `Application Support`."""
    path = write(tmp_path / "Application Support" / "config.toml", 'api_key = "tm_k"')
    path.chmod(0o644)
    with pytest.raises(ConfigurationError) as refusal:
        load_settings({}, {}, cwd=tmp_path, user_dir=path.parent)
    subprocess.run(["sh", "-c", str(refusal.value.hint)], check=True)
    settings = load_settings({}, {}, cwd=tmp_path, user_dir=path.parent)
    assert settings.value("api_key").reveal() == b"tm_k"
