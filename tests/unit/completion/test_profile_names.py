"""Profile names: from a cache of a minute, with one quick request, and never at any price."""

import json
import threading
from dataclasses import replace

import pytest
from werkzeug.wrappers import Response

from tests.services.trafficmorph import KEY
from tests.unit.runtime.announced import Stranger, announce, proves_itself
from tm_cli.completion.candidates import profile_candidates
from tm_cli.completion.profile_names import CachedProfile, ProfileSource, read_profiles
from tm_cli.runtime.environment import Environment
from tm_cli.values.api_key import ApiKey

PROFILES = [{"id": 1, "name": "checkout"}, {"id": 2, "name": "check out"}]


@pytest.fixture
def complete(tm, httpserver):
    """Complete a profile on a configured server, as zsh would ask."""

    def run(*words, **environ):
        settings = {"TM_BASE_URL": httpserver.url_for("/"), "TM_API_KEY": KEY, **environ}
        result = tm("completion", "zsh", "--", *(words or ("runs", "start", "")), environ=settings)
        assert (result.exit_code, result.stderr) == (0, "")
        return [line.split("\t")[0] for line in result.stdout.splitlines()[1:]]

    return run


def test_names_come_from_the_server_once_a_minute(complete, httpserver, clock):
    expected = httpserver.expect_request("/api/v1/profiles", headers={"X-Api-Key": KEY})
    expected.respond_with_json(PROFILES)
    assert complete() == complete() == ["checkout", "check out"]
    assert len(httpserver.log) == 1
    clock.sleep(61)
    complete()
    assert len(httpserver.log) == 2


def test_a_server_in_trouble_is_asked_once_a_minute_and_its_names_are_kept(
    complete, httpserver, clock
):
    httpserver.expect_oneshot_request("/api/v1/profiles").respond_with_json(PROFILES)
    complete()
    clock.sleep(61)
    httpserver.expect_request("/api/v1/profiles").respond_with_data("no", status=503)
    assert complete() == complete() == ["checkout", "check out"]
    assert len(httpserver.log) == 2


def test_accounts_do_not_see_each_others_names(complete, httpserver, tm):
    httpserver.expect_oneshot_request("/api/v1/profiles").respond_with_json(PROFILES)
    complete()
    (tm.cwd / "key").write_text("tm_other", encoding="utf-8")
    httpserver.expect_request("/api/v1/profiles").respond_with_json([])
    words = ("--api-key-file", str(tm.cwd / "key"), "runs", "start", "")
    assert "checkout" not in complete(*words)
    assert httpserver.log[-1][0].headers["X-Api-Key"] == "tm_other"


def test_the_cache_holds_no_key_and_is_private(complete, httpserver, tmp_path):
    httpserver.expect_request("/api/v1/profiles").respond_with_json(PROFILES)
    complete()
    (cache,) = (tmp_path / "state" / "completion").glob("*.json")
    assert json.loads(cache.read_text(encoding="utf-8"))["profiles"] == [
        [1, "checkout"],
        [2, "check out"],
    ]
    assert KEY not in cache.read_text(encoding="utf-8")


def test_without_a_key_nothing_is_sent(tm, httpserver):
    environ = {"TM_BASE_URL": httpserver.url_for("/")}
    result = tm("completion", "zsh", "--", "runs", "start", "", environ=environ)
    assert (result.exit_code, result.stderr) == (0, "")
    assert not httpserver.log


def test_the_embedded_server_is_asked_if_it_runs_and_never_started(tm, httpserver):
    data = tm.cwd / "data"
    words = ("completion", "zsh", "--", "runs", "start", "c")
    environ = {"TM_DATA_DIR": str(data)}
    assert tm(*words, environ=environ).stdout == ":files\n"
    announce(data, proves_itself(httpserver))
    httpserver.expect_request("/api/v1/profiles").respond_with_json(PROFILES)
    assert "checkout\tprofile 1" in tm(*words, environ=environ).stdout


def test_a_stranger_at_the_port_of_a_dead_server_gets_no_key(tm):
    with Stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]") as stranger:
        data = announce(tm.cwd / "data", stranger.url)
        words = ("completion", "zsh", "--", "runs", "start", "c")
        result = tm(*words, environ={"TM_DATA_DIR": str(data)})
    assert (result.exit_code, result.stdout, result.stderr) == (0, ":files\n", "")
    assert stranger.heard
    assert KEY.encode() not in stranger.all_heard


@pytest.mark.parametrize("named", ["~/.npmrc", "{home}/.npmrc"])
def test_an_announcement_that_names_another_file_sends_nothing(tm, monkeypatch, named):
    (tm.home / ".npmrc").write_text("//registry.example/:_authToken=secret", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tm.home))
    with Stranger(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as stranger:
        key_file = named.format(home=tm.home)
        data = announce(tm.cwd / "data", stranger.url, api_key_file=key_file)
        words = ("completion", "zsh", "--", "runs", "start", "c")
        assert tm(*words, environ={"TM_DATA_DIR": str(data)}).stdout == ":files\n"
    assert stranger.heard == []


def test_a_server_that_is_down_costs_no_error(complete):
    assert complete(TM_BASE_URL="http://127.0.0.1:9/") == []


@pytest.mark.parametrize("content", ["", "[]", '{"at": "x"}', '{"at": 1, "profiles": [1]}'])
def test_a_damaged_cache_is_written_anew(complete, httpserver, tmp_path, clock, content):
    httpserver.expect_request("/api/v1/profiles").respond_with_json(PROFILES)
    complete()
    (cache,) = (tmp_path / "state" / "completion").glob("*.json")
    cache.write_text(content, encoding="utf-8")
    assert complete() == ["checkout", "check out"]


def test_a_silent_server_is_left_alone(httpserver, clock, tmp_path):
    answer = threading.Event()
    httpserver.expect_request("/api/v1/profiles").respond_with_handler(
        lambda _request: Response(status=500 if answer.wait(10) else 200)
    )
    source = ProfileSource(httpserver.url_for("/"), ApiKey(KEY), "variable TM_API_KEY")
    context = replace(Environment.system(), clock=clock, find_state_dir=lambda: tmp_path)
    try:
        assert read_profiles(context, source, patience=0.05) == []
        assert read_profiles(context, source, patience=0.05) == []  # remembered
    finally:
        answer.set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("checkout", "checkout"),
        ("Check out", "Check out"),
        ("--evil", "7"),
        ("42", "7"),
        ("a/b", "7"),
        ("~root", "7"),
        ("x\ny", "7"),
        ("\x1b[2J", "7"),
    ],
)
def test_a_name_that_would_mean_something_else_is_offered_as_its_id(name, value):
    (found,) = profile_candidates([CachedProfile(7, name)], "")
    assert found.value == value
    assert "\x1b" not in found.note


def test_digits_are_completed_to_ids():
    found = profile_candidates([CachedProfile(42, "checkout")], "4")
    assert [item.value for item in found] == ["checkout", "42"]
