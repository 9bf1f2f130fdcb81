"""Report paths that are or lead to a device, a pipe or an open descriptor; all in `tmp_path`."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tm_cli.commands.shared import ci_platforms
from tm_cli.errors import ConfigurationError
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime import device_paths
from tm_cli.runtime.device_paths import find_device
from tm_cli.runtime.files import append, write_atomic
from tm_cli.runtime.terminal import Terminal
from tm_cli.setup.plan import read_text

pytestmark = pytest.mark.process

if os.name != "posix":
    pytest.skip("devices are POSIX", allow_module_level=True)

GOLDEN = Path(__file__).parents[1] / "unit" / "report" / "golden"
DESCRIPTORS = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")


@pytest.fixture
def decide(tmp_path):
    """Decide a saved report that passes, as a process; options are those of `subprocess.run`."""
    shutil.copy(GOLDEN / "pass.json", tmp_path)

    def run(*argv: str, environ: dict[str, str] | None = None, **options):
        home = str(tmp_path)
        return subprocess.run(
            [sys.executable, "-m", "tm_cli", "report", "eval", "pass.json", *argv],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]),
                "HOME": home, "TM_CONFIG_DIR": home, "TM_STATE_DIR": home, **(environ or {}),
            },
            text=True,
            timeout=60,
            check=False,
            **options,
        )  # fmt: skip

    return run


@pytest.fixture
def links(tmp_path):
    """Links that lead to a descriptor in a roundabout way; `stdout` is the last of a chain."""

    def make(number: int) -> list[Path]:
        (tmp_path / "first").symlink_to(DESCRIPTORS / str(number))
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "second").symlink_to("../first")
        (tmp_path / "stdout").symlink_to("deep/second")
        (tmp_path / "descriptors").symlink_to(DESCRIPTORS)
        return [
            *(tmp_path / name for name in ("first", "deep/second", "stdout")),
            tmp_path / "descriptors" / str(number),
            DESCRIPTORS / str(number),
        ]

    return make


def test_a_report_for_standard_output_stands_in_its_file_before_the_result(decide, links, tmp_path):
    places = links(1)
    with (tmp_path / "o").open("w") as file:
        print("before", file=file, flush=True)
        done = decide("--report", "dotenv=stdout", stdout=file, stderr=subprocess.PIPE)
    lines = (tmp_path / "o").read_text().splitlines()
    assert (done.returncode, lines[0], lines[1][:3]) == (0, "before", "TM_")
    assert any(line.startswith("PASS") for line in lines)
    assert all(place.is_symlink() for place in places[:3])
    assert not list(tmp_path.glob(".*new"))


def test_each_way_to_a_descriptor_of_ours_is_written_behind_what_is_there(links, tmp_path):
    with (tmp_path / "o").open("w") as file:
        file.write("1 ")
        file.flush()
        places = links(file.fileno())
        for place in places:
            write_atomic(place, "report ")
        file.write("end")
    assert (tmp_path / "o").read_text() == "1 " + "report " * len(places) + "end"
    assert all(place.is_symlink() for place in places[:3])


def test_a_socket_and_a_deleted_file_are_descriptors_as_well(tmp_path):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        (tmp_path / "link").symlink_to(DESCRIPTORS / str(ours.fileno()))
        write_atomic(tmp_path / "link", "report")
        assert theirs.recv(100) == b"report"
    with (tmp_path / "gone").open("w+") as file:
        (tmp_path / "gone").unlink()
        write_atomic(DESCRIPTORS / str(file.fileno()), "report")
        assert file.read() == "" or file.seek(0) == 0
        file.seek(0)
        assert file.read() == "report"
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_a_terminal_is_written_to(tmp_path):
    master, terminal = pty.openpty()
    (tmp_path / "link").symlink_to(os.ttyname(terminal))
    write_atomic(tmp_path / "link", "report")
    assert os.read(master, 100) == b"report"
    os.close(master)
    os.close(terminal)
    assert (tmp_path / "link").is_symlink()


def test_a_link_to_the_null_device_stays_one(tmp_path):
    (tmp_path / "report.json").symlink_to("/dev/null")
    write_atomic(tmp_path / "report.json", "report")
    assert (tmp_path / "report.json").readlink() == Path("/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("target", ["target.json", "missing.json"])
def test_a_link_to_a_file_is_replaced_and_the_file_is_left_alone(tmp_path, target):
    (tmp_path / "target.json").write_text("old")
    (tmp_path / "link").symlink_to(target)
    write_atomic(tmp_path / "link", "report")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_text() == "report"
    assert (tmp_path / "target.json").read_text() == "old"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="Linux")
def test_shared_memory_holds_ordinary_files():
    assert find_device(Path("/dev/shm/report.json")) is None


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="Linux")
def test_the_directory_of_a_process_is_an_ordinary_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("/proc/self/fd/1")
    for process in ("self", str(os.getppid())):
        assert find_device(Path(f"/proc/{process}/cwd/report.json")) is None
    found = find_device(Path("/proc/self/cwd/link"))
    assert found is not None
    assert found.descriptor == 1


def test_a_loop_of_links_is_an_error_and_stays(decide, tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    done = decide("--report", "json=a", capture_output=True)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert "cannot write" in done.stderr
    assert (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("what", ["missing device", "closed descriptor", "read only", "socket"])
def test_what_can_never_be_written_is_refused_at_once(decide, tmp_path, what):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    place = {
        "missing device": "/dev/no-such-device",
        "closed descriptor": f"{DESCRIPTORS}/99",
        "read only": f"{DESCRIPTORS}/0",
        "socket": "socket",
    }[what]
    (tmp_path / "link").symlink_to(place)
    with Path(__file__).open() as file:
        done = decide("--report", "json=link", stdin=file, capture_output=True)
    listener.close()
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr.startswith("tm: --report: cannot write")
    assert (tmp_path / "link").is_symlink()


def test_a_closed_standard_output_is_no_place_for_a_report(decide, links):
    links(1)
    done = decide("--report", "json=stdout", stderr=subprocess.PIPE, preexec_fn=close_output)
    assert done.returncode == ExitCode.USAGE
    assert "not open for writing" in done.stderr


def close_output() -> None:
    os.close(1)


def test_a_pipe_without_reader_loses_the_report_and_ends(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    monkeypatch.setattr(device_paths, "PATIENCE", 0.1)
    with pytest.raises(OSError, match="no process has read from it"):
        write_atomic(tmp_path / "link", "report")
    with pytest.raises(OSError, match="no process has read from it"):
        append(tmp_path / "pipe", b"report")
    assert (tmp_path / "pipe").is_fifo()


def test_a_reader_that_takes_nothing_loses_the_report_and_ends(tmp_path, monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setattr(device_paths, "PATIENCE", 0.1)
    with pytest.raises(OSError, match="has taken nothing"):
        write_atomic(DESCRIPTORS / str(writer), "x" * 2_000_000)
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("blocks", [True, False])
def test_a_slow_reader_gets_all_of_a_large_report(tmp_path, blocks):
    reader, writer = os.pipe()
    os.set_blocking(writer, blocks)
    taken = bytearray()

    def take() -> None:
        while piece := os.read(reader, 5000):
            taken.extend(piece)

    thread = threading.Thread(target=take)
    thread.start()
    write_atomic(DESCRIPTORS / str(writer), "x" * 500_000)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert len(taken) == 500_000


def test_a_pipe_with_a_reader_gets_one_document(decide, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    done = decide("--report", "json=pipe", capture_output=True)
    assert done.returncode == 0
    assert json.loads(os.read(reader, 65536))["exit_code"] == 0
    os.close(reader)


@pytest.mark.parametrize(("name", "code"), [("pass", ExitCode.OUTPUT), ("fail", ExitCode.FAIL)])
def test_a_gate_that_passed_is_no_success_without_its_report(tm, monkeypatch, name, code):
    monkeypatch.setattr(device_paths, "PATIENCE", 0.05)
    shutil.copy(GOLDEN / f"{name}.json", tm.cwd)
    os.mkfifo(tm.cwd / "pipe")
    result = tm("report", "eval", f"{name}.json", "--report", "json=pipe")
    assert result.exit_code == code
    assert "cannot write" in result.stderr


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs another user")
@pytest.mark.parametrize("what", ["link to a file", "link to a descriptor", "directory", "pipe"])
def test_what_another_user_left_where_everyone_may_write_is_refused(tmp_path, what):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "victim").write_text("old")
    place = shared / "report.json"
    if what == "pipe":
        os.mkfifo(place)
    else:
        targets = {"link to a file": "victim", "directory": "."}
        target = tmp_path / targets.get(what, "x")
        place.symlink_to(DESCRIPTORS / "1" if what == "link to a descriptor" else target)
    os.lchown(place, 12345, 12345)
    with pytest.raises(PermissionError, match="of another user"):
        write_atomic(place / "victim" if what == "directory" else place, "report")
    assert (tmp_path / "victim").read_text() == "old"


def test_a_secret_is_written_to_files_only(tmp_path):
    (tmp_path / "key").symlink_to("/dev/null")
    with pytest.raises(OSError, match="not a file"):
        write_atomic(tmp_path / "key", "secret", mode=0o600)
    assert (tmp_path / "key").is_symlink()


def test_outputs_for_a_runner_stand_in_order_on_standard_output(tmp_path):
    with (tmp_path / "o").open("w") as file:
        file.write("one ")
        file.flush()
        (tmp_path / "stdout").symlink_to(DESCRIPTORS / str(file.fileno()))
        assert ci_platforms.append(Terminal(None, None), tmp_path / "stdout", "two ", "outputs")
        file.write("three")
    assert (tmp_path / "o").read_text() == "one two three"


def test_a_step_summary_in_a_pipe_without_reader_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(device_paths, "PATIENCE", 0.05)
    os.mkfifo(tmp_path / "summary")
    said = io.StringIO()
    assert not ci_platforms.append(
        Terminal(None, said), tmp_path / "summary", "text", "the summary"
    )
    assert "cannot write the summary" in said.getvalue()


def test_append_follows_a_link_to_a_file(tmp_path):
    (tmp_path / "output").write_text("a=1\n")
    (tmp_path / "link").symlink_to("output")
    append(tmp_path / "link", b"b=2\n")
    assert (tmp_path / "output").read_text() == "a=1\nb=2\n"


@pytest.mark.parametrize("kind", ["pipe", "link to a descriptor"])
def test_a_set_up_reads_and_replaces_files_only(tmp_path, kind):
    place = tmp_path / ".gitlab-ci.yml"
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(DESCRIPTORS / "1")
    with pytest.raises(ConfigurationError, match="a device or a pipe, not a file"):
        read_text(tmp_path, place.name)
