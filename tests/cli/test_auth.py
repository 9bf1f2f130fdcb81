"""Keys are checked, stored for one server, found for that server alone, and shown nowhere."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from werkzeug.wrappers import Response

from tm_cli.cli.options import System
from tm_cli.errors import ConfigurationError
from tm_cli.settings import SYSTEMS, StoredKeys
from tm_cli.settings.credentials import KEYRING
from tm_cli.values.api_key import ApiKey

KEY = "tm_canary-key-0123456789"
CHECKS = {
    "trafficmorph": ("/api/v1/account", "X-Api-Key", KEY),
    "runloop": ("/v1/benchmark_runs", "Authorization", f"Bearer {KEY}"),
    "strait": ("/v1/runs", "Authorization", f"Bearer {KEY}"),
}
VARIABLES = {"trafficmorph": "TM", "runloop": "RUNLOOP", "strait": "STRAIT"}


@pytest.fixture
def service(httpserver):
    """The cheapest request of each system, answered; `refuse` has it refused instead."""

    def answer(system="trafficmorph", document=None, code=200):
        path, header, value = CHECKS[system]
        body = json.dumps(document if document is not None else {"data": [], "limits": {}})

        def respond(request):
            assert request.headers.get(header) == value
            assert header == "X-Api-Key" or request.args.to_dict() == {"limit": "1"}
            return Response(body, status=code, content_type="application/json")

        httpserver.expect_request(path, method="GET").respond_with_handler(respond)
        return httpserver.url_for("/")

    yield answer
    httpserver.check()


@pytest.fixture
def keychain():
    """A keyring in memory, put in place through the package's own interface."""
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class MemoryKeyring(KeyringBackend):
        priority = 1

        def __init__(self):
            super().__init__()
            self.kept = {}
            self.broken = False

        def get_password(self, service, username):
            self._answer()
            return self.kept.get((service, username))

        def set_password(self, service, username, password):
            self._answer()
            self.kept[service, username] = password

        def delete_password(self, service, username):
            self._answer()
            del self.kept[service, username]

        def _answer(self):
            if self.broken:
                raise RuntimeError(f"locked, with {KEY} inside")

    before = keyring.get_keyring()
    keyring.set_keyring(MemoryKeyring())
    yield keyring.get_keyring()
    keyring.set_keyring(before)


def stored_files(tm):
    return sorted(path for path in (tm.home / "keys").glob("*") if path.suffix == ".json")


@pytest.mark.parametrize("system", list(CHECKS))
def test_login_checks_and_stores_a_key_that_commands_then_use(tm, service, system):
    url = service(system)
    result = tm("auth", "login", "--system", system, "--base-url", url, secret=KEY)
    assert result.exit_code == 0, result.stderr
    assert f"stored the key for {url}" in result.stdout
    shown = tm("config", "show", "--json", environ={f"{VARIABLES[system]}_BASE_URL": url})
    name = "api_key" if system == "trafficmorph" else f"{system}_api_key"
    assert shown.json["data"][name] == {
        "value": "***",
        "origin": f"stored key {stored_files(tm)[0]}",
    }
    assert KEY not in result.stdout + result.stderr + shown.stdout + shown.stderr


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_stored_file_is_for_its_owner_alone(tm, service):
    (tm.home / "keys").mkdir(mode=0o755)
    tm("auth", "login", "--base-url", service(), secret=KEY)
    assert stat.S_IMODE((tm.home / "keys").stat().st_mode) == 0o700
    (path,) = stored_files(tm)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    result = tm("profiles", "list", environ={"TM_BASE_URL": service()})
    assert result.exit_code == 78
    assert "others may read it" in result.stderr


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize("system", list(CHECKS))
def test_key_that_the_server_refuses_is_not_stored(tm, service, system, code):
    url = service(system, {"error": "no"}, code)
    result = tm("auth", "login", "--system", system, "--base-url", url, secret=KEY)
    assert result.exit_code == 77
    assert "the key was not stored" in result.stderr
    assert stored_files(tm) == []


@pytest.mark.parametrize("system", list(CHECKS))
def test_key_of_a_server_that_is_down_is_stored_only_unchecked(tm, system):
    login = ("auth", "login", "--system", system, "--base-url", "http://127.0.0.1:9")
    result = tm(*login, secret=KEY)
    assert result.exit_code == 69
    assert "hint: --no-check stores a key without asking the server" in result.stderr
    assert stored_files(tm) == []
    result = tm(*login, "--no-check", "--json", secret=KEY)
    assert result.exit_code == 0
    assert result.json["data"]["checked"] is False
    assert [result.json["data"]["stored_in"]] == [str(path) for path in stored_files(tm)]


@pytest.mark.parametrize("document", ["hello", 7, None])
@pytest.mark.parametrize("system", list(CHECKS))
def test_answer_that_the_system_cannot_have_given_proves_no_key(tm, httpserver, system, document):
    path = CHECKS[system][0]
    httpserver.expect_request(path).respond_with_json(document)
    url = httpserver.url_for("/")
    result = tm("auth", "login", "--system", system, "--base-url", url, secret=KEY)
    assert result.exit_code == 1
    assert stored_files(tm) == []


def test_early_server_without_accounts_is_asked_for_its_profiles(tm, httpserver):
    httpserver.expect_request("/api/v1/account").respond_with_json({"error": "no"}, status=404)
    httpserver.expect_request("/api/v1/profiles", headers={"X-Api-Key": KEY}).respond_with_json([])
    assert tm("auth", "login", "--base-url", httpserver.url_for("/"), secret=KEY).exit_code == 0
    httpserver.check()


@pytest.mark.parametrize("secret", [" ", f" {KEY}", f"{KEY} ", f"{KEY}\n", f"{KEY}\nsecond line"])
def test_text_that_cannot_be_a_key_is_refused_before_any_request(tm, httpserver, secret):
    result = tm("auth", "login", "--base-url", httpserver.url_for("/"), secret=secret)
    assert result.exit_code == 64
    assert KEY not in result.stderr
    assert httpserver.log == []


@pytest.mark.parametrize("flag", ["--api-key", "--api-key-file"])
def test_key_is_never_an_argument(tm, flag):
    result = tm("auth", "login", "--base-url", "http://127.0.0.1:9", flag, "x")
    assert result.exit_code == 64
    assert f"{flag} is not for this command" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 78, "no server is configured"),
        (["--base-url", "local"], 64, "a key of its own"),
        (["--base-url", "http://tm.example"], 64, "unencrypted"),
        (["--context", "typo"], 78, "unknown context 'typo'"),
        (["--system", "typo"], 64, "typo"),
        (["--system", "strait", "--base-url", "local"], 64, "TrafficMorph only"),
    ],
)
def test_login_without_a_usable_server_asks_for_no_key(tm, arguments, code, words):
    result = tm("auth", "login", *arguments)
    assert result.exit_code == code
    assert words in result.stderr


def test_no_key_is_asked_for_a_server_that_only_the_project_names(tm):
    (tm.cwd / "tm.toml").write_text('base_url = "https://theirs.example"\n', encoding="utf-8")
    result = tm("auth", "login")
    assert result.exit_code == 78
    assert "which only" in result.stderr
    assert "tm.toml names" in result.stderr


def test_stored_key_confirms_the_server_that_a_project_names(tm, tmp_path):
    StoredKeys(tm.home / "keys").save("trafficmorph", "https://mine.example/", ApiKey(KEY))
    (tm.cwd / "tm.toml").write_text('base_url = "https://mine.example"\n', encoding="utf-8")
    assert "stored key" in tm("config", "show", "--json").json["data"]["api_key"]["origin"]
    (tm.cwd / "tm.toml").write_text('base_url = "https://mine.example.org"\n', encoding="utf-8")
    assert tm("config", "show", "--json").json["data"]["api_key"]["value"] is None


def test_stored_key_is_bound_to_system_and_server_even_when_its_file_is_moved(tmp_path):
    keys = StoredKeys(tmp_path / "keys")
    mine = keys.save("trafficmorph", "https://mine.example/", ApiKey(KEY))
    assert keys.find("trafficmorph", "https://mine.example/").key.reveal() == KEY.encode()
    assert keys.find("runloop", "https://mine.example/") is None
    other = keys.save("trafficmorph", "https://other.example/", ApiKey("tm_other"))
    Path(mine).replace(other)
    with pytest.raises(ConfigurationError, match="holds the key of another server"):
        keys.find("trafficmorph", "https://other.example/")


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"key": 7}', "\udcff", '{"key": ""}', "[" * 100_000, "9" * 5000],
    ids=range(8),
)
def test_file_that_is_no_stored_key_is_named(tmp_path, content):
    keys = StoredKeys(tmp_path / "keys")
    path = keys.save("strait", "https://mine.example/", ApiKey(KEY))
    Path(path).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match="keys"):
        keys.find("strait", "https://mine.example/")
    assert keys.remove("strait", "https://mine.example/") == [path]


def test_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "keys").write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot store the API key"):
        StoredKeys(tmp_path / "keys").save("strait", "https://mine.example/", ApiKey(KEY))


class TestKeyring:
    def test_is_preferred_to_a_file_and_replaces_one(self, tm, service, keychain):
        url = service()
        file = StoredKeys(tm.home / "keys")
        keychain.broken = True
        file.save("trafficmorph", url, ApiKey("tm_old"))
        assert stored_files(tm)
        keychain.broken = False
        result = tm("auth", "login", "--base-url", url, secret=KEY)
        assert "in the system keyring" in result.stdout
        assert keychain.kept == {("tm trafficmorph", url): KEY}
        assert stored_files(tm) == []
        shown = tm("config", "show", "--json", environ={"TM_BASE_URL": url})
        assert shown.json["data"]["api_key"]["origin"] == f"stored key {KEYRING}"

    def test_that_refuses_is_replaced_by_a_file_and_said(self, tm, service, keychain):
        keychain.broken = True
        result = tm("auth", "login", "--base-url", service(), secret=KEY)
        assert result.exit_code == 0
        assert "the system keyring could not be used (RuntimeError)" in result.stderr
        assert len(stored_files(tm)) == 1
        assert KEY not in result.stdout + result.stderr

    def test_that_is_locked_leaves_commands_without_a_key(self, tm, service, keychain):
        tm("auth", "login", "--base-url", service(), secret=KEY)
        keychain.broken = True
        result = tm("profiles", "list", environ={"TM_BASE_URL": service()})
        assert result.exit_code == 78
        assert "hint: the system keyring could not be used" in result.stderr
        assert KEY not in result.stderr

    def test_is_emptied_by_logout(self, tm, service, keychain):
        url = service()
        tm("auth", "login", "--base-url", url, secret=KEY)
        result = tm("auth", "logout", "--base-url", url)
        assert "removed the key" in result.stdout
        assert keychain.kept == {}

    def test_that_is_locked_makes_logout_fail(self, tm, service, keychain):
        keychain.broken = True
        result = tm("auth", "logout", "--base-url", service())
        assert result.exit_code == 78
        assert "a key may be left" in result.stderr


def test_logout_removes_the_key_of_one_server_and_may_be_repeated(tm):
    keys = StoredKeys(tm.home / "keys")
    for url in ("https://one.example/", "https://two.example/"):
        keys.save("trafficmorph", url, ApiKey(KEY))
    result = tm("auth", "logout", "--base-url", "https://one.example", "--json")
    assert len(result.json["data"]["removed_from"]) == 1
    assert keys.find("trafficmorph", "https://one.example/") is None
    assert keys.find("trafficmorph", "https://two.example/") is not None
    again = tm("auth", "logout", "--base-url", "https://one.example")
    assert (again.exit_code, again.stdout) == (0, "no key is stored for https://one.example/\n")


def test_login_says_when_a_variable_wins_over_what_it_stored(tm, service):
    environ = {"TM_BASE_URL": service(), "TM_API_KEY": "tm_variable"}
    result = tm("auth", "login", environ=environ, secret=KEY)
    assert result.exit_code == 0
    assert "commands use another key here: variable TM_API_KEY" in result.stderr


CONTEXTS = """
[contexts.staging]
base_url = "{url}"
api_key = "{key}"

[contexts.lab]
strait_base_url = "{url}"

[contexts.gone]
base_url = "http://127.0.0.1:9"
api_key = "{key}"
"""


@pytest.fixture
def contexts(tm, service):
    path = tm.home / "config.toml"
    path.write_text(CONTEXTS.format(url=service(), key=KEY), encoding="utf-8")
    path.chmod(0o600)


def test_status_tells_of_every_context_and_system(tm, contexts):
    result = tm("auth", "status", "--json")
    found = {(item["context"], item["system"]): item["state"] for item in result.json["data"]}
    assert found == {
        (None, "trafficmorph"): "no server",
        (None, "runloop"): "no key",
        (None, "strait"): "no key",
        ("staging", "trafficmorph"): "works",
        ("lab", "strait"): "no key",
        ("gone", "trafficmorph"): "server not reached",
    }
    assert result.exit_code == result.json["exit_code"] == 69


def test_status_shows_no_part_of_a_key(tm, contexts):
    result = tm("auth", "status")
    assert "context staging" in result.stdout
    assert "canary" not in result.stdout + result.stderr


def test_status_of_the_current_context_comes_first(tm, contexts):
    result = tm("auth", "status", "--json", "--no-check", "--context", "staging")
    first, *others = result.json["data"]
    assert (first["context"], first["state"]) == ("staging", "not checked")
    assert ("staging", "trafficmorph") not in {(item["context"], item["system"]) for item in others}
    assert result.exit_code == 0


def test_status_sends_flags_of_one_server_to_no_other(tm, service):
    url = service()
    path = tm.home / "config.toml"
    path.write_text('[contexts.lab]\nstrait_api_key = "strait_key"\n', encoding="utf-8")
    path.chmod(0o600)
    environ = {"RUNLOOP_API_KEY": "rl_key", "TM_API_KEY": KEY}
    result = tm("auth", "status", "--json", "--no-check", "--base-url", url, environ=environ)
    servers = {(item["system"], item["base_url"]) for item in result.json["data"]}
    assert servers == {
        ("trafficmorph", url),
        ("runloop", "https://api.runloop.ai/"),
        ("strait", "https://api.strait.dev/"),
    }


@pytest.mark.parametrize(
    ("environ", "code", "state"),
    [
        ({}, 77, "no server"),
        ({"TM_BASE_URL": "local"}, 77, "embedded server, with a key of its own"),
        ({"TM_BASE_URL": "http://127.0.0.1:9", "TM_API_KEY": "tm_x"}, 69, "server not reached"),
        ({"TM_BASE_URL": "http://tm.example", "TM_API_KEY": "tm_x"}, 78, "not usable"),
    ],
)
def test_status_exits_by_the_worst_key(tm, environ, code, state):
    result = tm("auth", "status", environ=environ)
    assert result.exit_code == code
    assert state in result.stdout


def test_status_of_a_refused_key_exits_77(tm, service):
    environ = {"TM_BASE_URL": service(document={"error": "no"}, code=401), "TM_API_KEY": KEY}
    result = tm("auth", "status", environ=environ)
    assert result.exit_code == 77
    assert "refused" in result.stdout


@pytest.mark.parametrize("variable", ["TM_API_KEY", "RUNLOOP_API_KEY", "STRAIT_API_KEY"])
def test_value_of_a_key_variable_is_hidden_in_every_message(tm, variable):
    padding = "x" * 480  # the key would be cut in the middle, and its first half shown
    url = f"https://{padding}{KEY}.example?"
    result = tm("profiles", "list", environ={variable: KEY, "TM_BASE_URL": url})
    assert result.exit_code == 78
    assert "canary" not in result.stderr


def test_every_system_of_the_settings_can_be_named():
    assert [system.value for system in System] == list(SYSTEMS)
