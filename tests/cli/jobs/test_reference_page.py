"""Every command, against today's server and against one that answers as the reference shows."""

import pytest

from tests.services.strait.api import Api
from tests.services.strait.fixtures import serve
from tests.services.strait.reference_page import ReferencePageApi
from tests.services.strait.world import PROJECT
from tm_cli.exit_codes import ExitCode

ITEM = {"created_at": "2026-03-01T12:00:00Z"}
PARTS = {
    "events": {"type": "log", "level": "info", "message": "one"},
    "checkpoints": {"sequence": 1, "source": "sdk", "state": {"n": 1}},
    "outputs": {"output_key": "report", "value": {"rows": 3}},
}
KINDS = [Api, ReferencePageApi]


@pytest.fixture(params=KINDS)
def strait(clock, request):
    kind = request.param if isinstance(request.param, type) else ReferencePageApi
    with serve(clock, kind) as found:
        if not isinstance(request.param, type):
            found.api.cancel_status = 200
        yield found


@pytest.fixture
def command(jobs, strait):
    """A command with JOB, RUN (executing), DEAD, FAILED and QUEUED in its words."""
    world = strait.world
    job = strait.job("export", holds="executing")
    ids = {"JOB": "export"}
    for name, status in (("RUN", "executing"), ("FAILED", "failed"), ("QUEUED", "queued")):
        run = world.make_run(job["id"], payload={"day": 1}, tags={"team": "core"}, batch_id="b1")
        if status != "queued":
            world.move(run, "executing")
        if status == "failed":
            world.move(run, "failed", error="no disk")
        run.due = None
        ids[name] = run.id
    dead = world.make_run(job["id"], parent_run_id=ids["RUN"])
    world.move(dead, "executing")
    world.move(dead, "dead_letter", error="endpoint returned 500")
    ids["DEAD"] = dead.id
    for part, item in PARTS.items():
        world.parts[ids["RUN"], part] = [{"id": part, "run_id": ids["RUN"], **ITEM, **item}]

    def run(*words, **options):
        environ = {"TM_STRAIT_PROJECT": PROJECT, **options.pop("environ", {})}
        words = [ids.get(word, word) for word in words]
        return jobs(*words, environ=environ, **options)

    run.ids, run.world = ids, world
    return run


AT = ("--at", "2026-03-02T12:00:00Z")
ROWS = [
    (("list",), "QUEUED"),
    (("list", "--status", "failed"), "FAILED"),
    (("list", "--status", "failed", "--status", "dead_letter"), "DEAD"),
    (("list", "--tag", "team=core", "--batch", "b1", "--triggered-by", "manual"), "RUN"),
    (("list", "--payload-contains", '{"day": 1}', "--limit", "2"), "QUEUED"),
    (("dlq",), "DEAD"),
    (("show", "RUN"), "executing"),
    (("cancel", "RUN"), "canceled"),
    (("replay", "FAILED"), "FAILED"),
    (("dlq-replay", "DEAD"), "queued"),
    (("bulk", "cancel", "RUN", "QUEUED"), "canceled 2 runs"),
    (("bulk", "cancel-all", "--job", "JOB", "--status", "executing", "--yes"), "RUN"),
    (("bulk", "replay", "FAILED"), "replayed 1 run"),
    (("bulk", "dlq-replay", "DEAD"), "DEAD"),
    (("bulk", "dlq-replay", "--project", PROJECT, "--limit", "5"), "DEAD"),
    (("bulk", "start", "JOB", "--items", "[{}, {}]"), "started 2 runs"),
    (("children", "RUN"), "DEAD"),
    (("events", "RUN", "--level", "info", "--type", "log"), "one"),
    (("checkpoints", "RUN"), "sdk"),
    (("outputs", "RUN"), "report"),
    (("lineage", "RUN"), "RUN"),
    (("dependencies", "RUN"), "dependencies_satisfied"),
    (("debug-bundle", "RUN"), "checkpoints"),
    (("debug", "on", "RUN"), "debug mode is on"),
    (("debug", "off", "RUN"), "debug mode is off"),
    (("reset-idempotency-key", "RUN"), "is free"),
    (("reschedule", "QUEUED", *AT), "delayed"),
    (("pause", "RUN"), "paused"),
    (("restart", "RUN"), "queued"),
    (("restart", "RUN", "--preset", "large-2x"), "queued"),
    (("state", "RUN"), ""),
    (("resources", "RUN"), ""),
    (("stream", "FAILED"), ""),
    (("stream", "FAILED", "--chunks"), ""),
    (("definitions", "list"), "export"),
    (("definitions", "show", "JOB"), "export"),
    (("start", "JOB"), "started run"),
    (("start", "JOB", "--dry-run"), "nothing was started"),
]


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(("words", "shown"), ROWS, ids=[" ".join(row[0]) for row in ROWS])
def test_command_works_on_both_servers(command, words, shown, form):
    result = command(*words, *form)
    assert result.exit_code == ExitCode.OK, result.stderr
    if form and words[0] != "stream":
        assert result.json["error"] is None
    elif not form:
        assert command.ids.get(shown, shown) in result.stdout
