"""Contexts: which source wins, and that a key goes only to the server that it is for."""

from __future__ import annotations

import itertools
import json
import os

import pytest

from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.settings import SYSTEMS, StoredKeys, load_settings, setting_name
from tm_cli.settings.definitions import DEFINITIONS

STAGING = "https://staging.example/"
PRODUCTION = "https://production.example/"
USER_FILE = """
region = "user"
{top}
[contexts.staging]
base_url = "https://staging.example"
api_key = "tm_staging"
region = "context"

[contexts.bare]
base_url = "https://staging.example"

[contexts.keyed]
api_key = "tm_keyed"

[contexts.lab]
runloop_api_key = "rl_lab"
strait_base_url = "http://localhost:8080"
strait_api_key = "strait_lab"
"""
CHOICES = {
    "flag": {"flags": {"context": "staging"}},
    "variable": {"environ": {"TM_CONTEXT": "staging"}},
    "project": {"project_file": 'context = "staging"\n'},
    "user": {"top": 'context = "staging"'},
}


@pytest.fixture
def load(tmp_path):
    project, user = tmp_path / "project", tmp_path / "user"
    project.mkdir()
    user.mkdir()

    def build(
        *choices,
        flags=None,
        environ=None,
        project_file="",
        top="",
        system="trafficmorph",
        text=None,
    ):
        for choice in (CHOICES[name] for name in choices):
            flags = {**(flags or {}), **choice.get("flags", {})}
            environ = {**(environ or {}), **choice.get("environ", {})}
            project_file += choice.get("project_file", "")
            top += choice.get("top", "")
        (project / "tm.toml").write_text(project_file, encoding="utf-8")
        path = user / "config.toml"
        path.write_text(text or USER_FILE.format(top=top), encoding="utf-8")
        path.chmod(0o600)
        return load_settings(flags or {}, environ or {}, cwd=project, user_dir=user, system=system)

    build.keys = StoredKeys(user / "keys")
    return build


def chosen(settings, system="trafficmorph"):
    """What a request would use: the server and the key, or the words of the refusal."""
    endpoint = settings.endpoint(system)
    return endpoint.base_url, endpoint.key.reveal().decode()


@pytest.mark.parametrize(
    ("choice", "others", "region", "origin"),
    [
        ("flag", {"flags": {"region": "flag"}}, "flag", "flag --region"),
        ("flag", {"environ": {"TM_REGION": "variable"}}, "context", "context staging"),
        ("variable", {"environ": {"TM_REGION": "variable"}}, "variable", "variable TM_REGION"),
        ("variable", {"project_file": 'region = "project"\n'}, "context", "context staging"),
        ("project", {"environ": {"TM_REGION": "variable"}}, "variable", "variable TM_REGION"),
        ("project", {"project_file": 'region = "project"\n'}, "context", "context staging"),
        ("user", {"project_file": 'region = "project"\n'}, "project", "project file"),
        ("user", {}, "context", "context staging"),
    ],
)
def test_context_is_as_strong_as_what_chose_it(load, choice, others, region, origin):
    setting = load(choice, **others)["region"]
    assert setting.value == region
    assert str(setting.origin).startswith(origin)


PAIR = {"TM_BASE_URL": PRODUCTION, "TM_API_KEY": "tm_production"}
URL, KEY = ({name: PAIR[name]} for name in PAIR)


@pytest.mark.parametrize(
    ("choice", "others", "expected"),
    [
        pytest.param("flag", {"environ": PAIR}, (STAGING, "tm_staging"), id="flag-beats-pair"),
        pytest.param("flag", {"environ": URL}, (STAGING, "tm_staging"), id="flag-beats-url"),
        pytest.param("flag", {"environ": KEY}, (STAGING, "tm_staging"), id="flag-beats-key"),
        pytest.param("variable", {"environ": PAIR}, "TM_CONTEXT chooses", id="two-servers"),
        pytest.param("variable", {"environ": URL}, "TM_CONTEXT chooses", id="two-urls"),
        pytest.param("variable", {"environ": KEY}, "TM_API_KEY is not sent", id="stray-key"),
        pytest.param(
            "variable",
            {"environ": {**PAIR, "TM_BASE_URL": STAGING}},
            (STAGING, "tm_production"),
            id="same-server-twice",
        ),
        pytest.param("project", {"environ": PAIR}, (PRODUCTION, "tm_production"), id="pair-beats"),
        pytest.param("project", {"environ": URL}, "key of context staging is not", id="half-pair"),
        pytest.param("project", {"environ": KEY}, "TM_API_KEY is not sent", id="other-half"),
        pytest.param("user", {"environ": PAIR}, (PRODUCTION, "tm_production"), id="user-pair"),
        pytest.param("user", {"environ": KEY}, "TM_API_KEY is not sent", id="user-half"),
        pytest.param(
            "user",
            {"project_file": f'base_url = "{PRODUCTION}"\n'},
            "no API key is configured",
            id="habit-gives-way-to-the-project-and-keeps-its-key",
        ),
        pytest.param(
            "flag",
            {"project_file": f'base_url = "{PRODUCTION}"\n'},
            (STAGING, "tm_staging"),
            id="flag-beats-project",
        ),
        pytest.param(
            "flag",
            {"flags": {"base_url": PRODUCTION}},
            "key of context staging is not sent to https://production",
            id="another-url-as-flag",
        ),
        pytest.param(
            "flag",
            {"flags": {"base_url": STAGING}},
            (STAGING, "tm_staging"),
            id="same-url-as-flag",
        ),
        pytest.param(
            "flag",
            {"flags": {"base_url": PRODUCTION, "api_key": "tm_flag"}},
            (PRODUCTION, "tm_flag"),
            id="pair-of-flags",
        ),
        pytest.param(
            "flag", {"flags": {"api_key": "tm_flag"}}, (STAGING, "tm_flag"), id="key-as-flag"
        ),
    ],
)
def test_server_and_key_come_from_one_place(load, choice, others, expected):
    settings = load(choice, **others)
    if isinstance(expected, tuple):
        assert chosen(settings) == expected
        return
    with pytest.raises(ConfigurationError, match=expected) as caught:
        chosen(settings)
    assert caught.value.hint


CONTEXT_TABLES = ("staging", "bare", "keyed")
URLS = (None, PRODUCTION, STAGING)


def combinations():
    """Every way to choose a context of every kind, beside every server and key elsewhere."""
    for choice, name in itertools.product((*CHOICES, None), CONTEXT_TABLES):
        for variable, key, project, own_key in itertools.product(
            URLS, (None, "tm_variable"), URLS, (None, "tm_user")
        ):
            yield choice, name, variable, key, project, own_key


def test_no_combination_sends_a_key_to_a_server_that_it_is_not_for(load):
    sent = 0
    for choice, name, variable, key, project, own_key in combinations():
        environ = {"TM_BASE_URL": variable, "TM_API_KEY": key}
        environ |= {"TM_CONTEXT": name if choice == "variable" else None}
        project_file = f'context = "{name}"\n' if choice == "project" else ""
        project_file += f'base_url = "{project}"\n' if project else ""
        top = f'context = "{name}"\n' if choice == "user" else ""
        top += f'api_key = "{own_key}"\n' if own_key else ""
        settings = load(
            flags={"context": name if choice == "flag" else None},
            environ={name: value for name, value in environ.items() if value},
            project_file=project_file,
            top=top,
        )
        try:
            url, found = chosen(settings)
        except ConfigurationError:
            continue
        sent += 1
        where = (choice, name, variable, key, project, own_key, url, found)
        assert found != "tm_keyed", where
        assert found != "tm_staging" or url == STAGING, where
        if choice is not None and name != "keyed" and url == STAGING and variable != STAGING:
            assert found == "tm_staging", where
        if choice == "flag" and name != "keyed":
            assert url == STAGING, where
        if found == "tm_variable":
            assert url in (variable, None) or choice is None or name == "keyed", where
    assert sent > 50


@pytest.mark.parametrize("environ", [{}, KEY, PAIR], ids=["nothing", "key", "pair"])
@pytest.mark.parametrize("top", ["", 'api_key = "tm_mine"'], ids=["no-key", "own-key"])
def test_server_of_a_context_gets_no_key_from_elsewhere(load, environ, top):
    settings = load(flags={"context": "bare"}, environ=environ, top=top)
    with pytest.raises(ConfigurationError, match=r"no API key .*staging\.example") as caught:
        chosen(settings)
    assert "tm auth login --context bare" in caught.value.hint
    load.keys.save("trafficmorph", STAGING, DEFINITIONS["api_key"].read("tm_stored"))
    assert chosen(settings) == (STAGING, "tm_stored")


@pytest.mark.parametrize("project_file", ["", f'base_url = "{PRODUCTION}"\n'])
def test_context_with_a_key_and_no_server_never_ends_up_at_another_one(load, project_file):
    settings = load(flags={"context": "keyed"}, project_file=project_file)
    with pytest.raises(ConfigurationError, match="has a key, but not the server"):
        _ = settings.server


def test_key_of_a_context_without_server_is_not_sent_to_the_variables_server(load):
    settings = load(flags={"context": "keyed"}, environ=URL)
    with pytest.raises(ConfigurationError, match="key of context keyed is not sent"):
        _ = settings.key


def test_context_speaks_for_every_system(load):
    settings = load(flags={"context": "lab"})
    assert chosen(settings, "runloop") == ("https://api.runloop.ai/", "rl_lab")
    assert chosen(settings, "strait") == ("http://localhost:8080/", "strait_lab")
    assert settings.server is None


def test_key_of_a_context_goes_to_the_usual_server_or_to_its_own(load):
    settings = load(
        flags={"context": "lab"}, environ={"RUNLOOP_BASE_URL": "https://collector.example"}
    )
    with pytest.raises(ConfigurationError, match=r"not sent to https://collector\.example/"):
        chosen(settings, "runloop")


@pytest.mark.parametrize("choice", list(CHOICES))
def test_context_that_does_not_exist_is_refused_with_the_names_that_do(load, choice):
    settings = load(choice, text="[contexts.production]\n[contexts.lab]\n")
    if choice == "user":
        settings = load(text='context = "staging"\n[contexts.production]\n[contexts.lab]\n')
    with pytest.raises(ConfigurationError, match="lab, production") as caught:
        _ = settings.server
    assert "staging" in caught.value.message


@pytest.mark.parametrize(
    "choice", [{"flags": {"context": "none"}}, {"environ": {"TM_CONTEXT": "none"}}]
)
def test_none_goes_without_a_context(load, choice):
    settings = load("project", **choice)
    assert settings.context is None
    assert settings.value("region") == "user"


@pytest.mark.parametrize(
    ("flags", "environ", "error"),
    [
        ({"context": ""}, {}, UsageError),
        ({"context": "../x"}, {}, UsageError),
        ({}, {"TM_CONTEXT": ""}, ConfigurationError),
    ],
)
def test_name_that_can_be_no_context_is_refused(load, flags, environ, error):
    with pytest.raises(error, match="context name consists of"):
        load(flags=flags, environ=environ).value("region")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("contexts = 3", "must be a table of tables"),
        ("[contexts]\nstaging = 3", "must be a table of tables"),
        ('[contexts.staging]\ncontext = "other"', "sets context in a context"),
        ("[contexts.staging.gate]\np95 = false", "sets gate in a context"),
        ("[contexts.staging]\nbase_ulr = 3", r"unknown setting 'base_ulr' in \[contexts.staging\]"),
        ("[contexts.none]", "means no context"),
        ('[contexts."a b"]', "context name consists of letters"),
        ("contxts = 3", "unknown setting 'contxts'"),
    ],
)
def test_bad_contexts_are_refused_whether_chosen_or_not(load, text, words):
    with pytest.raises(ConfigurationError, match=words):
        load(text=text)


def test_projects_define_no_contexts(load):
    with pytest.raises(ConfigurationError, match="not a project's to define"):
        load(project_file='[contexts.staging]\nbase_url = "https://theirs.example"\n')


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_users_file_with_a_key_in_a_context_must_be_private(load, tmp_path):
    load()
    (tmp_path / "user" / "config.toml").chmod(0o644)
    with pytest.raises(ConfigurationError, match="others may read it"):
        load_settings({}, {}, cwd=tmp_path, user_dir=tmp_path / "user")


@pytest.mark.parametrize("system", SYSTEMS)
def test_flags_for_server_and_key_mean_the_system_of_the_command(load, system):
    flags = {"base_url": "https://flag.example", "api_key": "key_flag"}
    settings = load(flags=flags, system=system)
    assert chosen(settings, system) == ("https://flag.example/", "key_flag")
    for other in set(SYSTEMS) - {system}:
        assert settings.endpoint(other).base_url != "https://flag.example/"
        with pytest.raises(ConfigurationError, match="no API key"):
            _ = settings.endpoint(other).key


@pytest.mark.parametrize("system", ["runloop", "strait"])
class TestOtherSystem:
    def test_has_variables_of_its_own(self, load, system):
        environ = {
            f"{system.upper()}_BASE_URL": "http://localhost:9",
            f"{system.upper()}_API_KEY": "key",
            "TM_API_KEY": "tm_other",
        }
        assert chosen(load(environ=environ), system) == ("http://localhost:9/", "key")

    def test_takes_its_key_from_a_file(self, load, system, tmp_path):
        path = tmp_path / "key"
        path.write_text("from_file\n", encoding="utf-8")
        settings = load(environ={f"{system.upper()}_API_KEY_FILE": str(path)})
        assert settings.endpoint(system).key.reveal() == b"from_file"

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("http://api.example", "plain http would send the API key"),
            ("local", "stands in for TrafficMorph only"),
            ("https://u:p@api.example", r"//\*\*\*@api"),
            ("", "must not be empty"),
        ],
    )
    def test_has_its_address_validated(self, load, system, url, words):
        variable = f"{system.upper()}_BASE_URL"
        with pytest.raises(ConfigurationError, match=words):
            _ = load(environ={variable: url}).endpoint(system).base_url

    def test_keeps_its_key_from_a_server_that_only_the_project_names(self, load, system):
        name = setting_name(system, "base_url")
        settings = load(
            project_file=f'{name} = "https://theirs.example"\n',
            environ={f"{system.upper()}_API_KEY": "key"},
        )
        with pytest.raises(ConfigurationError, match="which only") as caught:
            _ = settings.endpoint(system).key
        assert f"{system.upper()}_BASE_URL" in caught.value.hint

    @pytest.mark.parametrize("key", ["", " key", "key\n", "key\t"])
    def test_has_an_unusable_key_refused_without_showing_it(self, load, system, key):
        with pytest.raises(ConfigurationError, match="API_KEY: ") as caught:
            _ = load(environ={f"{system.upper()}_API_KEY": key}).endpoint(system).key
        assert "key\\" not in caught.value.message

    def test_has_no_key_in_a_project_file(self, load, system):
        with pytest.raises(ConfigurationError, match="holds an API key"):
            load(project_file=f'{setting_name(system, "api_key")} = "canary"\n')
        with pytest.raises(ConfigurationError, match="not a project's choice"):
            load(project_file=f'{setting_name(system, "api_key_file")} = "x"\n')


@pytest.mark.parametrize("choice", ["flag", "project"])
def test_config_show_names_the_context(tm, choice):
    (tm.home / "config.toml").write_text('[contexts.staging]\nregion = "eu"\n', encoding="utf-8")
    flags = ["--context", "staging"] if choice == "flag" else []
    if choice == "project":
        (tm.cwd / "tm.toml").write_text('context = "staging"\n', encoding="utf-8")
    result = tm("config", "show", "--json", *flags)
    assert result.exit_code == 0
    assert result.json["data"]["region"] == {"value": "eu", "origin": "context staging"}
    assert json.dumps(result.json["data"]["context"]).count("staging") == 1


def test_unknown_context_exits_78(tm):
    result = tm("--context", "stagign", "runs", "status", "checkout")
    assert result.exit_code == 78
    assert "unknown context 'stagign'" in result.stderr
