"""`tm bisect`: a real repository, a simulated server, and services that only listen."""

from __future__ import annotations

import io
import json
import os
import random
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.wrappers import Response

from tests.services.trafficmorph import KEY, comparison, detail, page, profile, status
from tm_cli.exit_codes import ExitCode
from tm_cli.main import main
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.signals import SignalReceived
from tm_cli.runtime.terminal import Terminal

pytestmark = pytest.mark.process  # git

FIRST_SLOW = 8
COMMITS = 12
SERVE = ("--serve", "serve it", "--profile", "http://localhost/checkout?x=1", "--duration", "20s")


def git(place: Path, *words: str) -> str:
    environ = {
        "PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull
    }  # fmt: skip
    names = ["-c", "user.name=Ann", "-c", "user.email=a@b"]
    command = ["git", *names, "-C", str(place), *words]
    return subprocess.run(
        command, env=environ, check=True, capture_output=True, text=True
    ).stdout.strip()


class World:
    """The server and the services; what a commit is, its number in the work tree says."""

    def __init__(self, server, place: Path) -> None:
        self.place, self.numbers = place, {}
        self.served, self.running, self.environs = {}, [], []
        self.unbuildable, self.unservable = set(), set()
        self.slower, self.noise, self.runs, self.interrupt_at = 1.3, 0.03, [], None
        self.errors, self.fast_errors, self.silent = set(), set(), set()
        self.intervals, self.detaching, self.detached = True, None, []
        self.document, self.against = {}, None
        self.features = {"duet": True, "waitForTarget": True}
        server.expect_request(re.compile(".*")).respond_with_handler(self.answer)

    def number(self, url: str) -> int:
        return self.served[int(re.search(r":(\d+)/", url)[1])]

    def answer(self, request):
        path, method = request.path.removeprefix("/api/v1"), request.method
        found = self.respond(path, method, request)
        return Response(json.dumps(found), content_type="application/json")

    def respond(self, path, method, request):
        if path == "/account":
            return {"features": self.features, "limits": {}}
        if path == "/profiles/import":
            self.document = request.get_json()
            return {"id": 42, "name": self.document["name"]}
        if path == "/profiles/42":
            return profile(name="x", duration=20, targetUrl=self.document["endpointUrl"])
        if path == "/profiles/42/runs":
            body = request.get_json()
            assert body["tags"][0] == "bisect"
            self.runs.append(
                (self.number(body["againstUrl"]), self.number(self.document["endpointUrl"]))
            )
            self.against = body["againstUrl"]
            return {"runId": f"run-{len(self.runs)}", "status": "RUNNING", "profileId": 42}
        if path.endswith("/stop"):
            return {"status": "STOPPED", "profileId": 42, "runId": f"run-{len(self.runs)}"}
        if path.endswith("/status"):
            return status("COMPLETED", runId=f"run-{len(self.runs)}")
        if path == "/history":
            return page(*([self.row()] if self.runs else []))
        return self.row()

    def row(self):
        number = len(self.runs)
        rng = random.Random(number)
        factor = self.slower if self.runs[-1][1] >= FIRST_SLOW else 1.0
        change = 100 * (factor * (1 + rng.gauss(0, self.noise)) - 1)
        half = 196 * self.noise
        number_of_commit = self.runs[-1][1]
        if number_of_commit in self.silent:
            return detail(number, runId=f"run-{number}", outcome="ABORTED", autoVerdict=None)
        errors = "FAIL" if number_of_commit in self.errors | self.fast_errors else "PASS"
        if number_of_commit in self.fast_errors:
            change = -90.0
        low, high = (change - half, change + half) if self.intervals else (None, None)
        items = [
            comparison("p95", change=change, ciLow=low, ciHigh=high),
            comparison("errors", unit="%", change=0.0, verdict=errors),
        ]
        return detail(
            number, runId=f"run-{number}", autoVerdict="FAIL", outcome="COMPLETED",
            against={"targetUrl": self.against}, autoCompareBaselineRunId=None,
            autoCompareSnapshot=json.dumps({"comparisons": items}),
        )  # fmt: skip

    def spawn(self, words, environ, *, directory, output):
        if self.interrupt_at is not None and len(self.runs) >= self.interrupt_at:
            self.interrupt_at = None
            raise SignalReceived(2)
        number = int((directory / "number").read_text(encoding="utf-8"))
        self.environs.append(environ)
        text = words if isinstance(words, str) else words[-1]
        if "PORT" not in environ:
            output.write_text("it is \x1b[31mbroken\n", encoding="utf-8")
            return Ended(2 if number in self.unbuildable else 0)
        assert text.endswith("serve it")
        if number in self.unservable:
            return Ended(1)
        if number == self.detaching:
            sleep = ["sleep", "60"]
            self.detached.append(subprocess.Popen(sleep, env=environ, start_new_session=True))
        self.served[int(environ["PORT"])] = number
        service = Service(int(environ["PORT"]))
        self.running.append(service)
        return service


class Ended:
    def __init__(self, code):
        self.code = code

    def poll(self):
        return self.code

    def end(self, patience):
        pass


class Service:
    """Something that listens."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", port))

    def poll(self):
        return None

    def end(self, patience):
        self.listener.close()


@pytest.fixture
def world(httpserver, tm):
    git(tm.cwd, "init", "-q", "-b", "main")
    found = World(httpserver, tm.cwd)
    for number in range(COMMITS + 1):
        (tm.cwd / "number").write_text(str(number), encoding="utf-8")
        git(tm.cwd, "add", "-A")
        git(tm.cwd, "commit", "-q", "-m", f"Change {number}")
        found.numbers[git(tm.cwd, "rev-parse", "HEAD")] = number
    return found


@pytest.fixture
def bisect(tm, tmp_path, clock, httpserver, world):
    def run(*flags, environ=None, live=False, typed=None):
        out, err = io.StringIO(), io.StringIO()
        keyboard = None if typed is None else io.StringIO(typed)
        context = Environment(
            environ={
                "TM_BASE_URL": httpserver.url_for("/"), "TM_API_KEY": KEY,
                "PATH": os.environ["PATH"], **(environ or {}),
            },
            terminal=Terminal(out, err, live=live, width=80, keyboard=keyboard),
            clock=clock,
            cwd=tm.cwd,
            find_user_dir=lambda: tm.home,
            find_state_dir=lambda: tmp_path / "state",
            launch=lambda _: pytest.fail("no server is needed"),
            make_token=lambda: "token",
            spawn=lambda *words, **places: world.spawn(*words, **places),
            serve=lambda *words, **places: world.spawn(*words, **places),
        )  # fmt: skip
        code = main(["bisect", *flags], context)
        return code, out.getvalue(), err.getvalue()

    return run


def found_number(world, out):
    data = json.loads(out)["data"]
    return [world.numbers[commit] for commit in data["candidates"]]


def left_over(world):
    trees = git(world.place, "worktree", "list").splitlines()
    listening = [service for service in world.running if service.listener.fileno() != -1]
    return trees[1:], listening


def test_slow_commit_is_found(bisect, world):
    code, out, _ = bisect("HEAD~12", "HEAD", *SERVE, "--json")
    data = json.loads(out)["data"]
    assert code == ExitCode.OK
    assert found_number(world, out) == [FIRST_SLOW]
    assert data["state"] == "found"
    assert data["probability"] >= 0.95
    assert len(data["runs"]) == len(world.runs) <= 8
    assert all(good == 0 for good, _ in world.runs)
    assert left_over(world) == ([], [])


def test_people_see_the_commit_and_its_probability(bisect, world):
    code, out, err = bisect("HEAD~12", "HEAD", *SERVE)
    assert code == ExitCode.OK
    assert re.search(r"^\w{10} is the first slow commit with 9\d(\.\d)? %; p95 of BAD \+", out)
    assert f"Change {FIRST_SLOW}" in out
    assert "Ann, 20" in out
    assert "more run" in err
    assert "about" in err


def test_profile_keeps_its_path_and_gets_the_place_of_the_commit(bisect, world):
    bisect("HEAD~12", "HEAD", *SERVE)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/checkout\?x=1", world.document["endpointUrl"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/checkout\?x=1", world.against)
    assert world.document["name"].startswith("bisect localhost")


def test_commit_that_does_not_build_is_skipped_and_said(bisect, world):
    world.unbuildable = {6}
    code, out, err = bisect("HEAD~12", "HEAD", "--build", "make", *SERVE, "--json")
    assert code == ExitCode.OK
    assert found_number(world, out) == [FIRST_SLOW]
    assert "does not build: exit code 2; it is skipped" in err
    assert "  | it is [31mbroken" in err.replace("\x1b", "")
    assert "\x1b" not in err


def test_slow_commit_next_to_one_that_is_skipped_is_named_with_it(bisect, world):
    world.unservable = {FIRST_SLOW - 1}
    code, out, _ = bisect("HEAD~12", "HEAD", *SERVE)
    assert code == ExitCode.OK
    assert "the first slow commit is one of" in out
    assert "does not serve: exit code 1" in out


@pytest.mark.parametrize(("number", "name"), [(0, "GOOD"), (COMMITS, "BAD")])
def test_ends_must_be_testable(bisect, world, number, name):
    world.unservable = {number}
    code, _, err = bisect("HEAD~12", "HEAD", *SERVE)
    assert code == ExitCode.ERROR
    assert f"{name} cannot be tested" in err
    assert left_over(world) == ([], [])


def test_commits_that_do_not_differ_end_the_search(bisect, world):
    world.slower = 1.0
    code, out, err = bisect("HEAD~12", "HEAD", *SERVE, "--json")
    assert code == ExitCode.ERROR
    assert json.loads(out)["error"]["code"] == "not_reproduced"
    assert "do not differ" in err
    assert {number for _, number in world.runs} == {COMMITS}


def test_search_that_takes_too_many_runs_gives_up(bisect, world):
    code, out, _ = bisect("HEAD~12", "HEAD", *SERVE, "--max-runs", "2", "--json")
    assert code == ExitCode.ERROR
    assert json.loads(out)["error"]["code"] == "not_found"
    assert json.loads(out)["data"]["state"] == "unclear"


def test_errors_are_searched_for_as_well(bisect, world):
    world.slower, world.errors = 1.0, set(range(5, 13))
    code, out, _ = bisect("HEAD~12", "HEAD", *SERVE, "--json")
    assert (code, found_number(world, out)) == (ExitCode.OK, [5])
    assert json.loads(out)["data"]["metric"] == "errors"


def test_slow_commit_whose_requests_fail_fast_does_not_count_as_fast(bisect, world):
    world.fast_errors = {FIRST_SLOW, FIRST_SLOW + 1}
    code, out, err = bisect("HEAD~12", "HEAD", *SERVE, "--json")
    assert code == ExitCode.OK
    assert FIRST_SLOW in found_number(world, out)
    assert "has errors that GOOD does not have; it is skipped" in err


def test_commit_that_listens_and_never_answers_is_skipped(bisect, world):
    world.silent = {6}
    code, out, err = bisect("HEAD~12", "HEAD", *SERVE, "--json")
    assert (code, found_number(world, out)) == (ExitCode.OK, [FIRST_SLOW])
    assert "had no verdict in 3 runs; it is skipped" in err
    assert "without --fail-on" not in err


def test_runs_without_an_interval_do_not_show_that_commits_are_alike(bisect, world):
    world.intervals = False
    code, out, err = bisect("HEAD~12", "HEAD", *SERVE, "--json")
    assert code == ExitCode.ERROR
    assert json.loads(out)["error"]["code"] == "not_found"
    assert json.loads(out)["data"]["state"] == "unclear"
    assert "after 3 runs it is not known whether BAD is slower than GOOD" in err


def test_comparisons_of_good_and_bad_count_as_runs(bisect, world):
    world.slower = 1.0
    code, out, err = bisect("HEAD~12", "HEAD", *SERVE, "--max-runs", "1", "--json")
    assert (code, len(world.runs)) == (ExitCode.ERROR, 1)
    assert "after 1 run it is not known" in err
    assert json.loads(out)["error"]["code"] == "not_found"


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not show the processes")
def test_process_that_has_left_its_group_is_ended_with_the_service(bisect, world):
    world.detaching = COMMITS
    bisect("HEAD~12", "HEAD", *SERVE, "--max-runs", "1")
    assert [process.wait(10) for process in world.detached] == [-9]


def test_log_that_an_error_names_exists(bisect, world):
    world.unbuildable = {0}
    _, _, err = bisect("HEAD~12", "HEAD", "--build", "make", *SERVE)
    assert Path(re.search("its log: (.*)", err)[1]).is_file()


def test_git_directory_that_takes_no_file_is_named(bisect, world):
    (world.place / ".git" / "tm-bisect" / "lock").mkdir(parents=True)
    code, _, err = bisect("HEAD~12", "HEAD", *SERVE)
    assert code == ExitCode.CONFIGURATION
    assert "cannot keep the bisection in" in err


def test_interrupted_search_leaves_nothing_behind_and_goes_on(bisect, world):
    world.interrupt_at = 2
    code, _, err = bisect("HEAD~12", "HEAD", *SERVE)
    assert code == ExitCode.INTERRUPTED
    assert "`tm bisect --continue` goes on" in err
    assert left_over(world) == ([], [])
    code, out, _ = bisect("--continue", "--json")
    assert (code, found_number(world, out)) == (ExitCode.OK, [FIRST_SLOW])
    assert len(json.loads(out)["data"]["runs"]) == len(world.runs)


def test_search_without_results_is_not_in_the_way_of_the_next(bisect, world):
    world.unservable = {0}
    assert bisect("HEAD~12", "HEAD", *SERVE)[0] == ExitCode.ERROR
    world.unservable, world.interrupt_at = set(), 0
    code, _, err = bisect("HEAD~12", "HEAD", *SERVE)
    assert code == ExitCode.INTERRUPTED
    assert "--continue" not in err
    assert bisect("HEAD~12", "HEAD", *SERVE)[0] == ExitCode.OK


def test_status_starts_nothing(bisect, world):
    world.interrupt_at = 2
    bisect("HEAD~12", "HEAD", *SERVE)
    played = len(world.runs)
    code, out, _ = bisect("--status")
    assert code == ExitCode.OK
    assert out.startswith("not found yet")
    assert json.loads(bisect("--status", "--json")[1])["data"]["state"] == "under_way"
    assert len(world.runs) == played


def test_second_search_does_not_replace_one_that_is_under_way(bisect, world):
    world.interrupt_at = 1
    bisect("HEAD~12", "HEAD", *SERVE)
    code, _, err = bisect("HEAD~3", "HEAD", *SERVE)
    assert code == ExitCode.USAGE
    assert "is under way here" in err


def test_reset_asks_and_forgets(bisect, world):
    world.interrupt_at = 1
    bisect("HEAD~12", "HEAD", *SERVE)
    assert bisect("--reset")[0] == ExitCode.USAGE  # without a terminal
    assert bisect("--reset", "--yes")[0] == ExitCode.OK
    assert not (world.place / ".git" / "tm-bisect" / "state.json").exists()
    code, _, err = bisect("--continue")
    assert code == ExitCode.USAGE
    assert "no search is under way" in err


def test_damaged_state_is_refused_and_can_be_reset(bisect, world):
    place = world.place / ".git" / "tm-bisect"
    place.mkdir()
    (place / "state.json").write_text("{", encoding="utf-8")
    assert bisect("--continue")[0] == ExitCode.CONFIGURATION
    assert bisect("--reset")[0] == ExitCode.OK
    assert not (place / "state.json").exists()


def test_finished_search_is_shown_again_and_replaced_by_the_next(bisect, world):
    first = bisect("HEAD~12", "HEAD", *SERVE, "--json")
    played = len(world.runs)
    assert json.loads(bisect("--continue", "--json")[1]) == json.loads(first[1])
    assert len(world.runs) == played
    assert bisect("HEAD~6", "HEAD", *SERVE)[0] == ExitCode.OK


def test_few_work_trees_exist_at_a_time_and_good_is_built_once(bisect, world):
    most = 0

    def counting(*words, **places):
        nonlocal most
        most = max(most, len(git(world.place, "worktree", "list").splitlines()) - 1)
        return spawn(*words, **places)

    spawn, world.spawn = world.spawn, counting
    world.noise = 0.1  # so that many commits are measured
    bisect("HEAD~12", "HEAD", "--build", "make", *SERVE)
    built = [environ["TM_COMMIT"] for environ in world.environs if "PORT" not in environ]
    assert most <= 4
    assert [world.numbers[commit] for commit in built].count(0) == 1


def test_key_is_in_no_environment_and_the_commit_is(bisect, world):
    bisect("HEAD~12", "HEAD", "--build", "make", *SERVE, environ={"RUNLOOP_API_KEY": "secret"})
    assert world.environs
    for environ in world.environs:
        assert KEY not in environ.values()
        assert "secret" not in environ.values()
        assert environ["TM_COMMIT"] in world.numbers


def test_own_work_tree_stays_as_it_is(bisect, world):
    (world.place / "number").write_text("edited", encoding="utf-8")
    before = git(world.place, "status", "--porcelain")
    bisect("HEAD~12", "HEAD", *SERVE)
    assert git(world.place, "status", "--porcelain") == before
    assert (world.place / "number").read_text(encoding="utf-8") == "edited"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        pytest.param((), "name GOOD and BAD, --serve and --profile", id="nothing"),
        pytest.param(("HEAD~3", "HEAD"), "--serve and --profile", id="no-command"),
        pytest.param(("nope", "HEAD", *SERVE), "GOOD: git knows no commit 'nope'", id="typo"),
        pytest.param(("HEAD", "HEAD~3", *SERVE), "does not descend", id="wrong-way-around"),
        pytest.param(("HEAD", "HEAD", *SERVE), "same commit", id="one-commit"),
        pytest.param(("HEAD~3", "HEAD", *SERVE, "--confidence", "1"), "--confidence", id="percent"),
        pytest.param(("HEAD~3", "HEAD", *SERVE, "--duration", "1s"), "--duration", id="duration"),
        pytest.param(("HEAD~3", "HEAD", *SERVE, "--build", " "), "--build is empty", id="empty"),
        pytest.param(("HEAD~3", "HEAD", *SERVE, "--start-timeout", "x"), "--start-timeout", id="x"),
        pytest.param(("--continue", "--status"), "stands alone", id="two-at-once"),
        pytest.param(("--continue", "HEAD"), "stands alone", id="commit-too"),
        pytest.param(("--status",), "no search is under way", id="no-search"),
    ],
)
def test_mistakes_start_nothing(bisect, world, flags, told):
    code, _, err = bisect(*flags)
    assert code == ExitCode.USAGE
    assert told in err
    assert world.environs == []


def test_missing_document_is_named(bisect, world):
    code, _, err = bisect("HEAD~3", "HEAD", "--serve", "x", "--profile", "checkout.yaml")
    assert code == ExitCode.CONFIGURATION
    assert "checkout.yaml does not exist" in err


def test_server_on_another_machine_is_refused(bisect, world):
    environ = {"TM_BASE_URL": "https://tm.example/"}
    code, _, err = bisect("HEAD~3", "HEAD", *SERVE, environ=environ)
    assert code == ExitCode.USAGE
    assert "does not reach" in err


def test_server_without_ab_runs_is_refused_before_anything_is_built(bisect, world):
    world.features = {"duet": False}
    code, _, err = bisect("HEAD~3", "HEAD", *SERVE)
    assert code == ExitCode.REFUSED
    assert "cannot run against two targets" in err
    assert world.environs == []
    assert "no search is under way" in bisect("--status")[2]


def test_outside_of_a_repository_it_says_so(bisect, world):
    (world.place / ".git").rename(world.place / "elsewhere")
    environ = {"GIT_CEILING_DIRECTORIES": str(world.place.parent)}
    code, _, err = bisect("HEAD~3", "HEAD", *SERVE, environ=environ)
    assert code == ExitCode.CONFIGURATION
    assert "not a git repository" in err
