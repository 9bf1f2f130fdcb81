"""One comment per gate on a pull request: made once, replaced in place, never somebody else's."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from tests.unit.report.made_evidence import ALL
from tm_cli.commands.report.comment import marker_of
from tm_cli.commands.report.replay import load
from tm_cli.commands.shared.report_sinks import Format, rendered
from tm_cli.exit_codes import ExitCode
from tm_cli.render.formats.markdown import markdown

TOKEN = "ghs_0123456789abcdefghij"
BOT = {"login": "github-actions[bot]", "type": "Bot"}


class Forge:
    """GitHub and GitLab, as far as comments go; remembers who wrote what."""

    def __init__(self, login: str | None = None) -> None:
        self.comments: list[dict[str, Any]] = []
        self.login = login
        self.refused: dict[str, int] = {}
        self.authorization: set[str] = set()
        self.methods: list[str] = []
        self.meanwhile: dict[str, Any] | None = None

    def add(self, number: int, body: str, **user: str) -> None:
        self.comments.append({"id": number, "body": body, "user": {**BOT, **user}})
        self.comments.sort(key=lambda item: item["id"])

    def __call__(self, request: Request) -> Response:
        self.authorization.add(request.headers.get("Authorization", ""))
        self.methods.append(request.method)
        if request.path.endswith("/user"):
            return self._json({"login": self.login}) if self.login else self._refuse(403)
        if status := self.refused.get(request.method):
            return self._refuse(status)
        return self._comments(request)

    def _comments(self, request: Request) -> Response:
        body = json.loads(request.get_data() or b"null")
        if request.method == "POST":
            self.add(self.comments[-1]["id"] + 1 if self.comments else 1, body["body"])
            created = self.comments[-1]
            if self.meanwhile:
                self.comments.insert(0, self.meanwhile)
            return self._json(created, 201)
        if request.method == "GET":
            page, size = int(request.args["page"]), int(request.args["per_page"])
            return self._json(self.comments[(page - 1) * size : page * size])
        number = int(request.path.rsplit("/", 1)[1])
        found = next(item for item in self.comments if item["id"] == number)
        if found["user"]["login"] != (self.login or BOT["login"]):
            return self._refuse(403)
        if request.method == "DELETE":
            self.comments.remove(found)
            return Response(status=204)
        found["body"] = body["body"]
        return self._json(found)

    def _json(self, document: Any, status: int = 200) -> Response:
        return Response(json.dumps(document), status, content_type="application/json")

    def _refuse(self, status: int) -> Response:
        return self._json({"message": "Resource not accessible by integration"}, status)


@pytest.fixture
def forge(httpserver):
    found = Forge()
    httpserver.expect_request("/user").respond_with_handler(found)
    httpserver.expect_request(re.compile("/repos/o/r/issues/.*")).respond_with_handler(found)
    return found


@pytest.fixture
def comment(tm, httpserver):
    def run(name="fail", *flags, **changes):
        if name is not None:
            (tm.cwd / "gate.json").write_text(rendered(Format.JSON, ALL[name]), encoding="utf-8")
        environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": httpserver.url_for("").rstrip("/"),
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_STEP_SUMMARY": str(tm.cwd / "summary"),
            "GITHUB_TOKEN": TOKEN,
        }
        return tm("report", "comment", "gate.json", *flags, environ={**environ, **changes})

    return run


def test_first_report_is_a_new_comment_and_the_next_one_replaces_it(comment, forge):
    assert comment("fail").stdout == "created the comment on pull request 7 of o/r\n"
    assert comment("pass").stdout == "updated the comment on pull request 7 of o/r\n"
    assert len(forge.comments) == 1
    assert forge.comments[0]["body"].startswith(marker_of("tm") + "\n### PASS: checkout\n")
    assert forge.authorization == {f"Bearer {TOKEN}"}


def test_each_gate_has_a_comment_of_its_own(comment, forge):
    comment("fail", "--name", "checkout")
    comment("pass", "--name", "search --> <!--")
    comment("pass", "--name", "checkout")
    assert len(forge.comments) == 2
    assert "### PASS" in forge.comments[0]["body"]
    assert "## search --&gt; &lt;!--" in forge.comments[1]["body"]


def test_comment_of_somebody_else_is_left_alone_whatever_it_holds(comment, forge):
    forge.add(1, marker_of("tm") + "\nforged: PASS", login="mallory", type="User")
    forge.add(2, marker_of("tm") + "\nof another bot", login="other[bot]", type="Bot")
    assert comment().exit_code == 0
    assert forge.comments[0]["body"].endswith("forged: PASS")
    assert forge.comments[1]["body"].endswith("of another bot")
    assert "### FAIL" in forge.comments[2]["body"]


def test_author_is_known_where_the_token_may_ask(comment, forge):
    forge.login = "me"
    forge.add(1, marker_of("tm") + "\nof a bot")
    forge.add(2, marker_of("tm") + "\nmine", login="me", type="User")
    comment()
    assert forge.comments[0]["body"].endswith("of a bot")
    assert "### FAIL" in forge.comments[1]["body"]
    assert len(forge.comments) == 2


def test_marker_inside_a_comment_does_not_make_it_ours(comment, forge):
    forge.add(1, f"look: {marker_of('tm')}")
    comment()
    assert len(forge.comments) == 2


def test_comment_is_found_behind_many_others(comment, forge):
    for number in range(1, 231):
        forge.add(number, "talk", login="someone", type="User")
    comment("fail")
    comment("pass")
    assert len(forge.comments) == 231


def test_two_jobs_at_once_end_with_one_comment(comment, forge):
    forge.add(5, "talk", login="someone", type="User")
    forge.meanwhile = {"id": 2, "body": marker_of("tm") + "\nof the other job", "user": BOT}
    assert comment().stdout == "updated the comment on pull request 7 of o/r\n"
    assert [item["id"] for item in forge.comments] == [2, 5]
    assert "### FAIL" in forge.comments[0]["body"]


def test_doubled_comments_become_one(comment, forge):
    forge.add(1, marker_of("tm") + "\nold")
    forge.add(2, marker_of("tm") + "\nold too")
    comment()
    assert [item["id"] for item in forge.comments] == [1]


@pytest.mark.parametrize("status", [401, 403, 404, 422, 500])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_comment_that_is_refused_goes_into_the_summary(comment, forge, tm, method, status):
    forge.refused[method] = status
    result = comment()
    assert result.exit_code == ExitCode.OK
    assert "no comment was made" in result.stderr
    assert "the step summary has it instead" in result.stderr
    assert "### FAIL: checkout" in (tm.cwd / "summary").read_text(encoding="utf-8")
    assert TOKEN not in result.stdout + result.stderr


def test_server_that_is_away_is_no_failure_of_the_gate(comment, tm):
    result = comment(GITHUB_API_URL="http://127.0.0.1:9")
    assert result.exit_code == ExitCode.OK
    assert "### FAIL" in (tm.cwd / "summary").read_text(encoding="utf-8")


def test_without_a_token_the_summary_has_it(comment, forge, tm):
    result = comment(GITHUB_TOKEN="")
    assert result.exit_code == ExitCode.OK
    assert "GITHUB_TOKEN is not set" in result.stderr
    assert not forge.methods


def test_push_to_a_branch_has_nothing_to_comment_on(comment, forge, tm):
    result = comment(GITHUB_REF="refs/heads/main")
    assert result.exit_code == ExitCode.OK
    assert "no pull request belongs to this job; --pr names one" in result.stderr
    assert "### FAIL: checkout" in (tm.cwd / "summary").read_text(encoding="utf-8")
    assert not forge.methods


@pytest.mark.parametrize("event", ["workflow_run", "check_suite", "check_run"])
def test_event_without_pull_requests_is_told_the_way_out(comment, forge, tm, event):
    document = {event: {"pull_requests": []}}
    (tm.cwd / "event.json").write_text(json.dumps(document), encoding="utf-8")
    environ = {"GITHUB_REF": "refs/heads/x", "GITHUB_EVENT_PATH": str(tm.cwd / "event.json")}
    result = comment(**environ)
    assert result.exit_code == ExitCode.OK
    assert "--pr names one; the step summary has it instead" in result.stderr
    assert comment("fail", "--pr", "9", **environ).stdout.endswith("pull request 9 of o/r\n")


@pytest.mark.parametrize(
    "ref", ["refs/heads/gh-readonly-queue/main/pr-9-" + "a1" * 20, "refs/pull/9/head"]
)
def test_ref_names_the_pull_request(comment, forge, ref):
    assert comment(GITHUB_REF=ref).stdout.endswith("pull request 9 of o/r\n")


def listing(name, *pulls):
    return {name: {"pull_requests": list(pulls)}, "repository": {"id": 1}}


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ({"pull_request": {"number": 9}}, True),
        ({"issue": {"number": 9, "pull_request": {}}}, True),
        ({"issue": {"number": 9}}, False),
        ({"pull_request": {"number": "9"}}, False),
        ({"pull_request": {"number": True}}, False),
        (listing("workflow_run", {"number": 9}), True),
        (listing("check_suite", {"number": 9}, {"number": 8}), True),
        (listing("check_run", {"number": 9, "base": {"repo": {"id": 1}}}), True),
        (listing("check_run", {"number": 8, "base": {"repo": {"id": 2}}}, {"number": 9}), True),
        (listing("check_run", {"number": 8, "base": {"repo": {"id": 2}}}), False),
        (listing("workflow_run", None, 9, "9", {"number": None}), False),
        (listing("push", {"number": 9}), False),
        ({"workflow_run": {"pull_requests": {"number": 9}}}, False),
        ({"merge_group": {"head_ref": "refs/heads/gh-readonly-queue/a/b/pr-9-0a1b2c3d"}}, True),
        ({"merge_group": {"head_ref": "refs/heads/main"}}, False),
        ({"merge_group": {"head_ref": 9}}, False),
        ([], False),
    ],
    ids=str,
)
def test_event_names_the_pull_request(comment, forge, tm, event, found):
    (tm.cwd / "event.json").write_text(json.dumps(event), encoding="utf-8")
    result = comment(GITHUB_REF="refs/heads/x", GITHUB_EVENT_PATH=str(tm.cwd / "event.json"))
    assert ("pull request 9 of o/r" in result.stdout) == found
    assert bool(forge.comments) == found
    assert (tm.cwd / "summary").exists() != found


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"GITHUB_API_URL": "http://api.example.com"}, ExitCode.CONFIGURATION),
        ({"GITHUB_API_URL": "ftp://api.example.com"}, ExitCode.CONFIGURATION),
        ({"GITHUB_API_URL": "local"}, ExitCode.CONFIGURATION),
        ({"GITHUB_TOKEN": "a\nb"}, ExitCode.CONFIGURATION),
        ({"GITHUB_REPOSITORY": ""}, ExitCode.USAGE),
        ({"GITHUB_REPOSITORY": "o/r/../x"}, ExitCode.USAGE),
    ],
    ids=str,
)
def test_token_goes_nowhere_when_the_environment_is_odd(comment, forge, changes, code):
    result = comment("fail", **changes)
    assert result.exit_code == code
    assert not forge.methods
    assert TOKEN not in result.stderr


def test_flags_name_repository_and_request(comment, forge):
    flags = ("--repo", "o/r", "--pr", "12")
    result = comment("fail", *flags, GITHUB_REPOSITORY="", GITHUB_REF="")
    assert result.stdout == "created the comment on pull request 12 of o/r\n"


def test_long_report_fits_into_a_comment(comment, forge, tm):
    document = json.loads(rendered(Format.JSON, ALL["several"]))
    run = document["data"]["runs"][0]
    document["data"]["runs"] = [{**run, "subject": f"s{n}"} for n in range(90)]
    document |= {"exit_code": 0, "exit_name": "OK", "error": None}
    (tm.cwd / "gate.json").write_text(json.dumps(document), encoding="utf-8")
    assert len(markdown(load(tm.cwd / "gate.json")).encode()) > 65_536
    comment(None)
    text = forge.comments[0]["body"]
    assert len(text) < 65_536
    assert "## 90 runs: OK" in text
    assert "Left out" in text


@pytest.fixture
def merge_request(tm, httpserver):
    projects: list[str] = []
    notes: list[dict[str, Any]] = [
        {"id": 1, "body": marker_of("tm") + "\nforged", "author": {"id": 66}}
    ]

    def answer(request: Request) -> Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if request.path == "/api/v4/user":
            return Response(json.dumps({"id": 3}), content_type="application/json")
        projects.append(request.environ["RAW_URI"].split("/")[4])
        if request.method == "GET":
            return Response(json.dumps(notes), content_type="application/json")
        body = json.loads(request.get_data())["body"]
        if request.method == "POST":
            notes.append({"id": len(notes) + 1, "body": body, "author": {"id": 3}})
            return Response(json.dumps(notes[-1]), 201, content_type="application/json")
        assert request.method == "PUT"
        notes[int(request.path.rsplit("/", 1)[1]) - 1]["body"] = body
        return Response("{}", content_type="application/json")

    httpserver.expect_request(re.compile("/api/v4/.*")).respond_with_handler(answer)

    def run(name, *flags, **changes):
        (tm.cwd / "gate.json").write_text(rendered(Format.JSON, ALL[name]), encoding="utf-8")
        environ = {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": httpserver.url_for("/api/v4"),
            "CI_PROJECT_ID": "12",
            "CI_MERGE_REQUEST_IID": "4",
            "GITLAB_TOKEN": TOKEN,
        }
        return tm("report", "comment", "gate.json", *flags, environ={**environ, **changes})

    return run, notes, projects


def test_merge_request_gets_a_note_that_is_replaced_too(merge_request):
    run, notes, _ = merge_request
    assert run("fail").stdout == "created the comment on merge request 4 of project 12\n"
    assert run("pass").stdout == "updated the comment on merge request 4 of project 12\n"
    assert len(notes) == 2
    assert notes[0]["body"].endswith("forged")
    assert "### PASS" in notes[1]["body"]


@pytest.mark.parametrize(
    ("flags", "changes", "project"),
    [
        ([], {}, "12"),
        ([], {"CI_MERGE_REQUEST_PROJECT_ID": "7"}, "7"),
        ([], {"CI_MERGE_REQUEST_PROJECT_ID": ""}, "12"),
        (["--repo", "a/b"], {"CI_MERGE_REQUEST_PROJECT_ID": "7"}, "a/b"),
    ],
)
def test_note_of_a_fork_goes_to_the_project_of_the_merge_request(
    merge_request, flags, changes, project
):
    run, _, projects = merge_request
    result = run("fail", *flags, **changes)
    assert result.stdout == f"created the comment on merge request 4 of project {project}\n"
    assert set(projects) == {project.replace("/", "%2F")}


def test_refused_note_names_project_and_number(merge_request):
    run, _, projects = merge_request
    result = run("fail", CI_MERGE_REQUEST_PROJECT_ID="7", GITLAB_TOKEN="")
    assert "no comment was made on merge request 4 of project 7: GITLAB_TOKEN" in result.stderr
    assert not projects
