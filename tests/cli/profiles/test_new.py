"""`tm profiles new`, and a gate that warns when its mix has drifted from an access log."""

import gzip
import json

import pytest

from tests.services.trafficmorph import row
from tm_cli.exit_codes import ExitCode

LOG = "".join(
    f'10.0.0.1 - - [31/Jan/2026:12:00:{n % 60:02d} +0000] "GET {path} HTTP/1.1" 200 5\n'
    for n, path in enumerate(["/checkout"] * 150 + ["/search?q=ada"] * 50)
)


@pytest.fixture
def log(tm):
    path = tm.cwd / "access.log"
    path.write_text(LOG)
    return path


def test_a_log_becomes_a_document_that_is_accepted(tm, log):
    packed = tm.cwd / "access.log.gz"
    packed.write_bytes(gzip.compress(LOG.encode()))
    for source in (log, packed):
        written = tm(
            "profiles", "new", "--from", "access-log", str(source), "-o", "new.json", "--force"
        )
        assert written.exit_code == ExitCode.OK
        document = json.loads((tm.cwd / "new.json").read_text())
        assert [step["weight"] for step in document["steps"]] == [150, 50]
        assert "ada" not in json.dumps(document)


def test_an_existing_file_is_not_overwritten(tm, log):
    (tm.cwd / "new.yaml").write_text("mine")
    refused = tm("profiles", "new", "--from", "access-log", str(log), "-o", "new.yaml")
    assert refused.exit_code == ExitCode.OUTPUT
    assert "--force overwrites it" in refused.stderr
    assert (tm.cwd / "new.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["--from", "har", "access.log"], ExitCode.CONFIGURATION, "access.log:1: it is not JSON"),
        (["--from", "har", "gone.har"], ExitCode.CONFIGURATION, "cannot read gone.har"),
        (["--from", "har", "access.log", "--rate", "x"], ExitCode.USAGE, "--rate: invalid rate"),
        (["--from", "tar", "access.log"], ExitCode.USAGE, "--from"),
    ],
)
def test_a_source_that_cannot_be_used_is_named(tm, log, argv, code, message):
    result = tm("profiles", "new", *argv)
    assert result.exit_code == code
    assert message in result.stderr


@pytest.mark.parametrize("kind", ["har", "openapi"])
def test_a_source_that_is_nested_too_deeply_is_named(tm, kind):
    (tm.cwd / "deep.json").write_text('{"a":' * 100_000)
    stderr = tm("profiles", "new", "deep.json", "--from", kind).stderr
    assert "deep.json: it is n" in stderr
    assert "nested too deeply" in stderr


def start(gate, server, log, *argv):
    server.profile(targetUrl="https://shop.example/checkout", httpMethod="GET").snapshot()
    server.start()
    server.status().status("COMPLETED").scan(row()).detail()
    return gate("runs", "start", "42", "--wait", "--access-log", str(log), *argv)


def test_a_mix_that_has_drifted_is_a_warning(gate, server, log):
    result = start(gate, server, log, "--fail-on", "FAIL,WARN")
    assert result.exit_code == ExitCode.WARN
    assert "the mix of requests differs from the access log by 25%" in result.stderr


def test_a_drift_fails_nothing_that_does_not_fail_on_warnings(gate, server, log):
    assert start(gate, server, log, "--fail-on", "FAIL").exit_code == ExitCode.OK


def test_a_log_that_says_too_little_starts_nothing(gate, server, tmp_path):
    short = tmp_path / "short.log"
    short.write_text(LOG[:500])
    result = gate("runs", "start", "42", "--wait", "--fail-on", "FAIL", "--access-log", str(short))
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "a comparison needs 100" in result.stderr
