"""Precedence, origins and refusals of settings."""

from __future__ import annotations

import os

import pytest

from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.runtime.child_environment import SERVER
from tm_cli.settings import DEFINITIONS, load_settings
from tm_cli.settings.definitions import LIMITS_OF_SERVE
from tm_cli.values.api_key import KEY_VARIABLES


@pytest.fixture
def load(tmp_path):
    project, user = tmp_path / "project" / "deep", tmp_path / "user"
    project.mkdir(parents=True)
    user.mkdir()

    def build(*, flags=None, environ=None, project_file=None, pyproject=None, user_file=None):
        for path, text in (
            (project.parent / "tm.toml", project_file),
            (project.parent / "pyproject.toml", pyproject),
            (user / "config.toml", user_file),
        ):
            if text is not None:
                path.write_text(text, encoding="utf-8")
                path.chmod(0o600)
        return load_settings(flags or {}, environ or {}, cwd=project, user_dir=user)

    return build


SOURCES = {
    "flags": {"timeout": "1s"},
    "environ": {"TM_TIMEOUT": "2s"},
    "project_file": 'timeout = "3s"',
    "user_file": "timeout = 4",
}


@pytest.mark.parametrize(
    ("present", "seconds", "origin"),
    [
        (["flags", "environ", "project_file", "user_file"], 1.0, "flag --timeout"),
        (["environ", "project_file", "user_file"], 2.0, "variable TM_TIMEOUT"),
        (["project_file", "user_file"], 3.0, "project file"),
        (["user_file"], 4.0, "user file"),
        ([], 30.0, "default"),
    ],
)
def test_strongest_source_wins_and_is_named(load, present, seconds, origin):
    setting = load(**{name: SOURCES[name] for name in present})["timeout"]
    assert setting.value == seconds
    assert str(setting.origin).startswith(origin)


def test_pyproject_table_is_a_project_file(load):
    settings = load(pyproject='[tool.tm]\nfail_on = ["FAIL", "WARN"]\n')
    assert settings.value("fail_on") == "FAIL,WARN"


def test_pyproject_without_a_table_is_passed_by(load, tmp_path):
    (tmp_path / "tm.toml").write_text('region = "eu"', encoding="utf-8")
    assert load(pyproject="[project]\nname = 'x'\n").value("region") == "eu"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('api_key = "tm_canary"', "holds an API key"),
        ('api_key_file = "~/.ssh/id"', "not a project's choice"),
        ("allow_insecure_http = true", "not a project's choice"),
        ("timeuot = 3", "unknown setting 'timeuot'"),
        ("timeout = {}", "must be a text, a number"),
        ("timeout = [1, 2]", "must be a text, a number"),
        ("timeout", "not valid TOML"),
        ("timeout = 3\ntimeout = 4", r"tm\.toml, line 2, is not valid TOML: Cannot overwrite"),
        ("\n\udcff", r"tm\.toml, line 2, is not valid TOML: it is not UTF-8"),
        ("timeout = " + "9" * 5000, "not valid TOML: a number is too long"),
        ("timeout = " + "[" * 5000, "not valid TOML: nested too deeply"),
        ("gate = 3", "gate must be a table"),
        ("[gate]\np95 = {wran = 3}", "unknown key 'gate.p95.wran'; did you mean warn"),
        ("[gate]\np95 = {warn = nan}", "gate.p95.warn is nan"),
        ("[gate]\np95 = {warn = 20, fail = 10}", "above its fail"),
        ("gaet = 3", "unknown setting 'gaet'"),
    ],
)
def test_bad_project_file_is_refused(load, tmp_path, text, words):
    (tmp_path / "project" / "tm.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=words) as caught:
        load()
    assert "canary" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n\ntimeuot = 3", r"tm\.toml, line 3 has an unknown setting"),
        ("\n'api_key' = 'k'", r"tm\.toml, line 2 holds an API key"),
        ("\n[contexts.a]\nregion = 'x'", r"tm\.toml, line 2 has contexts"),
        ("a = 1\n[gate]\np50 = false\np95 = {wran = 1}", r"tm\.toml, line 4 is invalid: unknown"),
        ("[gate]\np50 = false\n'p95[1s..5s]' = false", r"tm\.toml, line 3 is invalid: gate\.p95\["),
        (
            "[gate]\n'p99.9' = {warn = nan}",
            r"tm\.toml, line 2 is invalid: gate\.p99\.9\.warn is nan",
        ),
        ("region = [1]", r"tm\.toml, line 1: region must be a text"),
        ("# x\nfail_on = 'FIAL'", r"fail_on in .*tm\.toml, line 2: invalid verdict"),
        ("# x\n[tool.tm]\nfail_on = 'FIAL'", r"fail_on in .*pyproject\.toml, line 3: invalid"),
        ("[tool.tm]\n[tool.tm.gate]\nx = 1", r"pyproject\.toml, line 3 is invalid: unknown key"),
        ("tool.tm.fail_on = 'FIAL'", r"fail_on in .*pyproject\.toml, line 1: invalid"),
    ],
)
def test_problem_of_a_settings_file_has_its_line(load, text, words):
    place = "pyproject" if "tool.tm" in text else "project_file"
    with pytest.raises(ConfigurationError, match=words):
        load(**{place: text}).value("fail_on")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("timeuot = 3", "did you mean timeout?"),
        ("FAIL_ON = 'FAIL'", "did you mean fail_on?"),
        ("FAIL-ON = 'FAIL'", "did you mean fail_on?"),
        ("[tool.tm]\nfail_on = 'FAIL'", "the settings of tm.toml stand in no table"),
        ("tm.fail_on = 'FAIL'", "the settings of tm.toml stand in no table"),
        ("[gate]\np95 = false\nfail_on = 'FAIL'", "write fail_on above [gate]"),
    ],
)
def test_misspelt_setting_gets_a_suggestion(load, text, hint):
    with pytest.raises(ConfigurationError) as caught:
        load(project_file=text)
    assert caught.value.hint == hint


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_setting_has_a_variable_and_a_help_text(name):
    definition = DEFINITIONS[name]
    assert definition.variable == ("" if definition.own_prefix else "TM_") + name.upper()
    assert definition.help.endswith(".")


def test_server_that_a_command_starts_has_the_limits_of_its_user():
    assert {item.variable for item in LIMITS_OF_SERVE} <= set(SERVER)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("max_rps", "many", "'many': expected a whole number"),
        ("max_rps", "-1", "'-1': expected a whole number"),
        ("max_rps", "1e3", "'1e3': expected a whole number"),
        ("max_rps", "9" * 30, "expected a whole number"),
        ("max_profile_rps", "10001", "10001 is not from 1 to 10000"),
        ("history_retention_days", "0", "0 is not from 1 to 2147483647"),
    ],
)
def test_number_that_is_no_limit_is_refused(load, name, text, words):
    with pytest.raises(ConfigurationError, match=words):
        load(environ={f"TM_{name.upper()}": text}).value(name)


def test_limit_is_a_number_of_the_users_file(load):
    assert load(user_file="max_rps = 10_000").value("max_rps") == 10_000


def test_every_secret_variable_is_hidden_in_messages():
    secrets = {item.variable for item in DEFINITIONS.values() if item.secret}
    assert secrets <= set(KEY_VARIABLES)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TM_BASE_URL": ""}, "TM_BASE_URL: '': must not be empty"),
        ({"TM_BASE_URL": "localhost:8092"}, "'localhost:8092'"),
        ({"TM_BASE_URL": "https://u:p@host"}, "'https://\\*\\*\\*@host'"),
        ({"TM_BASE_URL": "http://tm.example"}, "unencrypted"),
    ],
)
def test_unusable_server_address_names_its_variable(load, environ, words):
    with pytest.raises(ConfigurationError, match=words):
        _ = load(environ=environ).server


def test_flag_that_is_wrong_is_a_usage_error(load):
    with pytest.raises(UsageError, match="--base-url"):
        _ = load(flags={"base_url": "nowhere"}).server


@pytest.mark.parametrize(
    "environ",
    [
        {"TM_BASE_URL": "http://localhost:8092"},
        {"TM_BASE_URL": "https://tm.example"},
        {"TM_BASE_URL": "http://tm.example", "TM_ALLOW_INSECURE_HTTP": "true"},
    ],
)
def test_plain_http_needs_loopback_or_permission(load, environ):
    assert load(environ=environ).server == environ["TM_BASE_URL"] + "/"


@pytest.mark.parametrize("variable", ["", "tm_x\n", "tm_\x00"])
def test_unusable_key_is_refused_without_showing_it(load, variable):
    with pytest.raises(ConfigurationError, match="TM_API_KEY") as caught:
        _ = load(environ={"TM_API_KEY": variable}).key
    assert "tm_x" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "FIAL", "PASS"])
def test_gate_of_a_variable_is_checked_like_every_setting(load, text):
    with pytest.raises(ConfigurationError, match="TM_FAIL_ON"):
        load(environ={"TM_FAIL_ON": text}).value("fail_on")
    with pytest.raises(UsageError, match="--fail-on"):
        load(flags={"fail_on": text}).value("fail_on")


def test_missing_key_is_a_configuration_error(load):
    with pytest.raises(ConfigurationError, match="no API key"):
        _ = load().key


def test_key_file_is_read_without_its_line_break(load, tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"tm_from-file\r\n")
    assert load(environ={"TM_API_KEY_FILE": str(path)}).key.reveal() == b"tm_from-file"


@pytest.mark.parametrize(
    "name",
    ["tm_live_0123456789", "abc/DEF+012==", "/0123456789abcdef", "~nosuchuser-tm/x", "k" * 999],
)
def test_key_in_place_of_its_file_is_not_shown(load, name):
    with pytest.raises(ConfigurationError) as caught:
        _ = load(environ={"TM_API_KEY_FILE": name}).key
    assert name not in f"{caught.value.message} {caught.value.hint}"
    assert f"({len(name)} characters, which are not shown)" in caught.value.message


def test_missing_key_file_is_named(load, tmp_path):
    for name in (str(tmp_path / "key"), "key.txt", "secrets/tm.key"):
        with pytest.raises(ConfigurationError, match=f"{name}: No such file"):
            _ = load(environ={"TM_API_KEY_FILE": name}).key


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX modes")
@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o444, 0), (0o640, 0), (0o666, 1)])
def test_key_file_that_everyone_may_write_is_read_with_a_warning(tm, server, mode, warned):
    path = tm.cwd / "key.txt"
    path.write_text("tm_from-file", encoding="utf-8")
    path.chmod(mode)
    server.key = "tm_from-file"
    server.answer("GET", "/profiles", [])
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY_FILE": str(path)}
    result = tm("profiles", "list", environ=environ)
    assert result.exit_code == 0
    assert result.stderr.count("every user of this machine can change the API key") == warned


def test_byte_order_mark_of_a_key_file_is_not_sent(load, tmp_path):
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbftm_key\r\n")
    settings = load(environ={"TM_API_KEY_FILE": str(tmp_path / "key")})
    assert settings.key.reveal() == b"tm_key"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("tm_canary".encode("utf-16"), "byte 0x00"),
        (b"\xef\xbb\xbf\n", "the API key is empty"),
    ],
)
def test_key_file_that_holds_no_key_is_refused(load, tmp_path, data, words):
    (tmp_path / "key").write_bytes(data)
    with pytest.raises(ConfigurationError, match=words) as refused:
        _ = load(environ={"TM_API_KEY_FILE": str(tmp_path / "key")}).key
    assert "canary" not in str(refused.value)


def test_key_beats_a_key_file_of_the_same_source_and_loses_to_a_stronger_one(load, tmp_path):
    path = tmp_path / "key"
    path.write_text("tm_from-file", encoding="utf-8")
    environ = {"TM_API_KEY": "tm_variable", "TM_API_KEY_FILE": str(path)}
    assert load(environ=environ).key.reveal() == b"tm_variable"
    flags = {"api_key_file": str(path)}
    assert load(flags=flags, environ=environ).key.reveal() == b"tm_from-file"


USER_KEY = 'api_key = "tm_mine"\nbase_url = "https://mine.example"'
THEIRS = 'base_url = "https://theirs.example"'


@pytest.mark.parametrize(
    "own",
    [
        {"user_file": USER_KEY},
        {"environ": {"TM_API_KEY": "tm_mine"}},
        {"flags": {"api_key": "tm_mine"}},
    ],
    ids=["file", "variable", "flag"],
)
def test_key_is_not_sent_to_a_server_that_only_the_project_names(load, own):
    settings = load(project_file=THEIRS, **own)
    with pytest.raises(ConfigurationError, match=r"not sent to https://theirs\.example/"):
        _ = settings.key


@pytest.mark.parametrize(
    "own",
    [
        {"project_file": 'base_url = "https://mine.example/"', "user_file": USER_KEY},
        {"environ": {"TM_BASE_URL": "https://other.example"}, "user_file": USER_KEY},
        {"project_file": THEIRS, "flags": {"base_url": "https://o.example", "api_key": "tm_mine"}},
        {"project_file": 'base_url = "http://localhost:8092"', "user_file": USER_KEY},
    ],
    ids=["confirmed", "variable", "flag", "loopback"],
)
def test_key_goes_where_the_user_says_and_to_this_machine(load, own):
    assert load(**own).key.reveal() == b"tm_mine"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_users_file_with_a_key_must_be_private(load, tmp_path):
    load(user_file=USER_KEY)
    (tmp_path / "user" / "config.toml").chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read it"):
        load()


def test_limits_of_both_files_are_joined_and_the_projects_win(load):
    settings = load(
        project_file='[gate]\np95 = {warn = "10%", fail = "20%"}\n"p99.9" = false',
        user_file='[gate]\np95 = {warn = 1}\nfloor = "5ms"',
    )
    found = {name: (value, str(origin)) for name, (value, origin) in settings.thresholds.items()}
    assert found["p95"][0] == {"warn": 10, "fail": 20}
    assert found["p99.9"][0] is False
    assert found["floorMs"][0] == 5
    assert found["p95"][1].startswith("project file")
    assert found["floorMs"][1].startswith("user file")


def test_limits_may_stand_in_a_pyproject(load):
    assert not load().thresholds
    settings = load(pyproject="[tool.tm.gate]\nminRequests = 50\n")
    assert settings.thresholds["minRequests"][0] == 50


@pytest.mark.parametrize("place", ["project_file", "pyproject", "user_file"])
def test_byte_order_mark_of_a_settings_file_is_skipped(load, place):
    head = "[tool.tm]\n" if place == "pyproject" else ""
    assert load(**{place: f'\ufeff{head}region = "eu"'}).value("region") == "eu"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("region = 1.10", "line 1: region must be text; write it in quotes"),
        ("region = true", "line 1: region must be text; write it in quotes"),
        ('timeout = "a\\u0000b"', "invalid duration"),
        ("timeout = nan", "invalid duration"),
        ("timeout = 2026-01-01", "must be a text"),
    ],
)
def test_value_that_is_not_what_the_file_shows_is_refused(load, text, words):
    with pytest.raises(ConfigurationError, match=words):
        load(project_file=text).value(text.partition(" ")[0])


@pytest.mark.parametrize("name", ["data_dir", "ca_file", "api_key_file", "region"])
def test_path_with_a_control_character_is_refused(load, name):
    with pytest.raises(ConfigurationError, match=f"{name} in .*control characters"):
        load(user_file=f'{name} = "a\\u0000b"').value(name)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("TM_FAILON", "TM_FAIL_ON"),
        ("TM_FAIL", "TM_FAIL_ON"),
        ("TM_FAIL_ON_VERDICT", "TM_FAIL_ON"),
        ("tm_fail_on", "TM_FAIL_ON"),
        ("TM_ON_FAIL", "TM_FAIL_ON"),
        ("TMFAIL_ON", "TM_FAIL_ON"),
        ("TM__FAIL_ON", "TM_FAIL_ON"),
        ("_TM_FAIL_ON", "TM_FAIL_ON"),
        ("TM-FAIL-ON", "TM_FAIL_ON"),
        ("TM.FAIL.ON", "TM_FAIL_ON"),
        ("TRAFFICMORPH_FAIL_ON", "TM_FAIL_ON"),
        ("RUNLOOP_FAIL_ON", "TM_FAIL_ON"),
        ("STRAIT_FAILON", "TM_FAIL_ON"),
        ("TM_ASSERTIONS", "TM_ASSERT"),
        ("TM_ASSERT_P95", "TM_ASSERT"),
        ("TM_ABORTIF", "TM_ABORT_IF"),
        ("TM_ABORT", "TM_ABORT_IF"),
        ("TRAFFICMORPH_ASSERT", "TM_ASSERT"),
        ("TM_ON_WARN", "TM_WARN_ON"),
        ("TM_BASEURL", "TM_BASE_URL"),
        ("TM_ALLOW_PUBLIC_TARGET", "TM_ALLOW_PUBLIC_TARGETS"),
    ],
)
def test_misspelt_variable_refuses_a_gate(load, name, near):
    with pytest.raises(ConfigurationError, match=f"{name} means nothing to tm") as refused:
        load(environ={name: "x"}).require_all_files()
    assert refused.value.hint == f"did you mean {near}?"


OWN = (
    *("TM_API_KEY_STAGING", "TM_PROD_API_KEY", "TM_PORT", "TM_PACKAGE", "TM_CONFIG_DIR"),
    *("TM_VERDICT", "TM_RUN_ID", "TM_EXIT_CODE", "TM_OUTCOME", "TM_HISTORY_ID", "TM_SUBJECT"),
    *("TM_BASELINE_RUN_ID", "TM_CACHE_POLICY", "TM_FAULT_SEED", "TMPDIR", "RUNLOOP_API_KEYS"),
    *("FAIL_ON", "ASSERT", "TMUX", "TMOUT", "STRAIT_FAILED_RUNS", "RUNLOOP_APIKEY", "TIMEOUT_TM"),
)


@pytest.mark.parametrize("name", OWN)
def test_variable_of_another_name_is_the_users_own(load, name):
    load(environ={name: "x"}).require_all_files()
