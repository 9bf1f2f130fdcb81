"""What the embedded server needs, and what is installed."""

from pathlib import Path

import pytest

from tests.unit.doctor.fake_surroundings import FakeMachine
from tm_cli.doctor.machine import LocalServer, SystemMachine, check_local_server, check_software
from tm_cli.exit_codes import ExitCode
from tm_cli.values.check_result import Status


def look(machine, *, is_wanted=True, running_at=None):
    server = LocalServer(Path("/data/.tm"), running_at, is_wanted)
    return {item.check: item for item in check_local_server(machine, server)}


def test_a_machine_with_everything_can_run_it():
    found = look(FakeMachine())
    assert {item.status for item in found.values()} == {Status.OK}
    assert "started when needed" in found["embedded server"].text


def test_a_running_server_is_named():
    assert (
        "http://127.0.0.1:1/"
        in look(FakeMachine(), running_at="http://127.0.0.1:1/")["embedded server"].text
    )


def test_a_missing_extra_fails_only_where_it_is_wanted():
    machine = FakeMachine(found_extras={"local": ["locust", "uvicorn"]})
    found = look(machine)["embedded server"]
    assert found.code is ExitCode.CONFIGURATION
    assert "locust, uvicorn missing" in found.text
    assert "pip install 'tm-cli[local]'" in found.fix
    (only,) = look(machine, is_wanted=False).values()
    assert only.status is Status.SKIPPED


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"problem": "Permission denied"}, "data"),
        ({"free": 1024}, "disk"),
        ({"files": 256}, "open files"),
    ],
)
def test_what_stops_it_fails_where_it_is_wanted_and_warns_elsewhere(changes, check):
    assert look(FakeMachine(**changes))[check].code is ExitCode.CONFIGURATION
    assert look(FakeMachine(**changes), is_wanted=False)[check].status is Status.WARNING
    assert look(FakeMachine(**changes))[check].fix


@pytest.mark.parametrize(
    ("changes", "check", "status"),
    [
        ({"free": 100 * 1024**2}, "disk", Status.WARNING),
        ({"free": None}, "disk", Status.SKIPPED),
        ({"files": None}, "open files", Status.OK),
        ({"cpu_count": 1}, "CPU", Status.WARNING),
    ],
)
def test_what_is_merely_tight_is_a_warning(changes, check, status):
    assert look(FakeMachine(**changes))[check].status is status


def test_extras_are_named_with_their_state():
    machine = FakeMachine(found_extras={"local": [], "keyring": ["keyring"]})
    _, extras = check_software(machine, "1.2.3")
    assert extras.text == "keyring not installed, local installed"


def test_a_program_that_is_no_package_knows_no_extras():
    _, extras = check_software(FakeMachine(found_extras={}), "1.2.3")
    assert extras.status is Status.SKIPPED


def test_the_real_machine_answers(tmp_path):
    machine = SystemMachine()
    assert machine.cpus() >= 1
    assert machine.free_disk(tmp_path / "not" / "there") > 0
    assert machine.extras()["local"] == []
    assert "Python" in machine.software()


def test_a_directory_is_tried_and_left_as_it_was(tmp_path):
    machine = SystemMachine()
    assert machine.problem_of(tmp_path) is None
    assert machine.problem_of(tmp_path / "not" / "there") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert machine.problem_of(tmp_path / "file") == "it is not a directory"
