import contextlib
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from tests.unit.server.running_server import Api, RunningServer, eventually
from tm_cli.errors import ConfigurationError
from tm_cli.exit_codes import ExitCode

pytestmark = pytest.mark.process

SERVE = str(Path(__file__).with_name("serve_process.py"))


class ServerProcess:
    """A server that can be killed."""

    def __init__(self, data_dir):
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [sys.executable, SERVE, str(data_dir)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.base_url = self.process.stdout.readline().strip()
        assert self.base_url, self.process.stderr.read()

    def __enter__(self):
        key = (self.data_dir / "api-key").read_text().strip()
        plain = httpx2.HTTPTransport(verify=False)
        headers = {"X-Api-Key": key}
        self.client = httpx2.Client(base_url=self.base_url, headers=headers, transport=plain)
        return Api(self.client)

    def __exit__(self, *_):
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self, number):
        """Send a signal; return the exit code and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(timeout=10), time.monotonic() - began


def test_the_directory_is_private_and_the_key_is_not_in_the_database(server):
    directory = server.options.data_dir
    assert server.key.startswith("tm_")
    assert len(server.key) == 3 + 64
    if os.name == "posix":
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        for name in ("tm.db", "api-key", "server.json", "server.lock"):
            assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600, name
    assert server.key.encode() not in (directory / "tm.db").read_bytes()


def test_server_json_says_where_the_server_is_while_it_runs(server):
    path = server.options.data_dir / "server.json"
    assert json.loads(path.read_text()) == {
        "base_url": server.info.base_url,
        "pid": os.getpid(),
        "api_key_file": str(server.options.data_dir / "api-key"),
        "allow_public_targets": False,
    }
    server.stop()
    assert not path.exists()


def test_key_profiles_and_history_survive_a_restart(start_server):
    server = start_server()
    with server.client() as client:
        api = Api(client)
        profile_id = api.save()
        detail = api.judged(api.start(profile_id))
        profile = api.get(f"/profiles/{profile_id}").json()
    key = server.key
    server.stop()
    again = start_server()
    assert again.key == key
    with again.client() as client:
        api = Api(client)
        assert api.get(f"/history/{detail['id']}").json() == detail
        assert api.get(f"/profiles/{profile_id}").json() == {**profile, "status": "IDLE"}


def test_a_deleted_key_file_gives_a_new_key(start_server):
    server = start_server()
    old = server.key
    server.stop()
    server.info.api_key_file.unlink()
    again = start_server()
    assert again.key != old
    with again.client() as client:
        assert Api(client).get("/profiles").status_code == 200
        refused = client.get("/api/v1/profiles", headers={"X-Api-Key": old})
        assert refused.status_code == 401


def test_a_foreign_key_file_is_refused(start_server):
    server = start_server()
    server.stop()
    server.info.api_key_file.write_text("tm_somebody-elses\n")
    with pytest.raises(ConfigurationError, match="does not hold the key") as caught:
        start_server()
    assert "somebody" not in str(caught.value)


def test_a_second_server_on_the_directory_names_the_one_that_runs(server, start_server):
    with pytest.raises(ConfigurationError) as caught:
        start_server()
    assert server.info.base_url in caught.value.message
    assert str(os.getpid()) in caught.value.message


def test_a_taken_port_is_a_configuration_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            RunningServer(tmp_path / "data", port=port).start()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::"])
def test_without_tls_only_loopback_is_listened_on(tmp_path, host):
    with pytest.raises(ConfigurationError, match="loopback only"):
        RunningServer(tmp_path / "data", host=host).start()


@pytest.mark.parametrize("host", ["", "example.test", "1.2.3"])
def test_only_addresses_are_listened_on(tmp_path, host):
    with pytest.raises(ConfigurationError, match="not an address"):
        RunningServer(tmp_path / "data", host=host).start()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_the_ipv6_loopback_is_served_too(start_server):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback")
    server = start_server(host="::1")
    assert server.info.base_url.startswith("http://[::1]:")
    with server.client() as client:
        assert Api(client).get("/profiles").status_code == 200


def test_a_newer_database_is_a_configuration_error(start_server):
    server = start_server()
    server.stop()
    with sqlite3.connect(server.options.data_dir / "tm.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigurationError, match="newer tm"):
        start_server()


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_the_run_and_ends_the_server_in_time(tmp_path, number):
    server = ServerProcess(tmp_path / "data")
    with server as api:
        run_id = api.start(api.save(script="mode=deaf"))
        eventually(lambda: api.status(1)["requestsSent"])
        code, seconds = server.end(number)
    assert code == 0
    assert seconds < 2.0
    assert not (tmp_path / "data" / "server.json").exists()
    with ServerProcess(tmp_path / "data") as api:
        row = api.row_of(run_id)
    assert (row["outcome"], row["autoVerdict"], row["totalRequests"]) == ("INTERRUPTED", None, 100)


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_no_run_is_lost_or_judged_when_the_server_is_killed(tmp_path):
    data_dir, log = tmp_path / "data", tmp_path / "log"
    finished, cut = {}, []
    for cycle in range(4):
        server = ServerProcess(data_dir)
        with server as api:
            for run_id in cut:
                row = api.row_of(run_id)
                assert (row["outcome"], row["autoVerdict"]) == ("INTERRUPTED", None)
                assert row["totalRequests"] == 100
            for row_id, detail in finished.items():
                assert api.get(f"/history/{row_id}").json() == detail
            quick = api.save("quick")
            detail = api.judged(api.start(quick))
            finished[detail["id"]] = detail
            held = api.save("held", script=f"mode=hold&log={log}")
            cut.append(api.start(held))
            eventually(lambda: api.status(held)["requestsSent"])  # noqa: B023 - called here
            server.end(signal.SIGKILL)
        ends = cycle + 1
        eventually(lambda: log.read_text().count("end of input") == ends)  # noqa: B023
    with ServerProcess(data_dir) as api:
        assert len(api.rows(size=100)) == 8
        verdicts = [finished[row_id]["autoVerdict"] for row_id in sorted(finished)]
    assert verdicts == ["NO_BASELINE", "PASS", "PASS", "PASS"]


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_run_is_on_disk_before_its_start_is_answered(tmp_path):
    server = ServerProcess(tmp_path / "data")
    with server as api:
        run_id = api.start(api.save(script="mode=hold"))
        server.end(signal.SIGKILL)
    with ServerProcess(tmp_path / "data") as api:
        assert api.row_of(run_id)["outcome"] == "INTERRUPTED"


def test_a_row_left_without_verdict_is_judged_at_the_next_start(start_server):
    server = start_server()
    with server.client() as client:
        api = Api(client)
        detail = api.judged(api.start(api.save()))
    server.stop()
    with sqlite3.connect(server.options.data_dir / "tm.db") as connection:
        connection.execute("DROP TRIGGER verdict_is_written_once")
        connection.execute("UPDATE history SET auto_verdict = NULL")
    connection.close()
    with start_server().client() as client:
        assert Api(client).get(f"/history/{detail['id']}").json()["autoVerdict"] == "NO_BASELINE"


def test_neither_server_nor_engine_runs_inside_the_other(tmp_path):
    probe = (
        "import sys, tm_cli.server.server;"
        "names = ('locust', 'gevent', 'tm_cli.server.engine.load_test', 'tm_cli.api');"
        "print([name for name in names if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_a_database_that_cannot_be_written_is_told(start_server):
    server = start_server()
    other = sqlite3.connect(server.options.data_dir / "tm.db")
    with contextlib.closing(other), server.client() as client:
        other.execute("BEGIN EXCLUSIVE")
        answer = client.put("/api/v1/profiles/1/baseline", json={"historyId": 1}, timeout=10)
        other.rollback()
    assert answer.status_code == 500
    assert answer.json()["error"] == "The server cannot use its database: database is locked"
    assert answer.headers["connection"] == "close", "as the web server closes it"


def test_a_host_name_that_cannot_be_one_is_a_usage_error(tm, tmp_path):
    result = tm("serve", "--hostname", "load..example", "--data-dir", str(tmp_path / "d"))
    assert result.exit_code == ExitCode.USAGE
    assert "--hostname: 'load..example' is not a host name" in result.stderr
    assert not (tmp_path / "d").exists()
