"""What is asked before the load: a target that cannot be reached gets none."""

import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.unit.server.engine.engine_process import EngineProcess, RequestTarget, job
from tests.unit.server.engine.raw_target import Line, RawTarget, listening

pytestmark = pytest.mark.process

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STARTING = b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"
LOAD = {"points": [[0, 20]], "duration": 0.5, "timeout": 1.0}


@pytest.fixture
def port() -> int:
    """A port at which nothing listens."""
    with listening("127.0.0.1") as listener:
        return int(listener.getsockname()[1])


def run(url: str, wait: float = 0.0, **changes: Any) -> EngineProcess:
    load = {**LOAD, "probe": {"wait": wait}, **changes}
    with EngineProcess(job(url, **load)) as engine:
        engine.finish()
    return engine


def failure(engine: EngineProcess) -> str:
    last = engine.events[-1]
    assert last["event"] == "failed"
    assert not [event for event in engine.events if event["event"] == "started"]
    return str(last["message"])


def ok(line: Line) -> None:
    line.say(OK)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_load_is_sent_to_a_port_at_which_nothing_listens(port: int, method: str) -> None:
    message = failure(run(f"http://127.0.0.1:{port}/", method=method))
    assert message == (
        f"the target 127.0.0.1:{port} cannot be reached: nothing listens at the target's address "
        "and port; no load was sent (--wait-for-target 60s would wait for it)"
    )


def test_a_target_that_starts_late_is_waited_for_and_gets_the_whole_load(port: int) -> None:
    with EngineProcess(job(f"http://127.0.0.1:{port}/", **LOAD, probe={"wait": 20.0})) as engine:
        waiting = engine.wait_for("waiting")
        with RawTarget(ok, port=port) as target:
            _, last = engine.finish()
    assert "nothing listens" in waiting["reason"]
    assert (last["event"], last["outcome"]) == ("finished", "completed")
    assert engine.sums("codes") == {"200": 10}
    assert target.requests.total() == 10 + 1


def test_waiting_has_an_end_and_says_how_long_it_was(port: int) -> None:
    begun = time.monotonic()
    message = failure(run(f"http://127.0.0.1:{port}/", 2.0))
    assert message.endswith("no load was sent in 2 s")
    assert time.monotonic() - begun > 0.9


def test_a_connection_is_enough_where_nobody_asked_to_wait() -> None:
    with RawTarget(lambda line: False) as target:
        engine = run(target.url())
    assert engine.sums("failures") == {"HTTPConnectionClosed": 10}
    assert target.requests.total() == 10


def test_without_an_answer_in_the_time_to_wait_no_load_is_sent() -> None:
    with RawTarget(lambda line: False) as target:
        message = failure(run(target.url(), 1.5))
    assert "closed the connection without a response" in message


def test_a_proxy_that_answers_for_a_starting_service_is_waited_for() -> None:
    answers = [STARTING, STARTING]

    def answer(line: Line) -> None:
        line.say(answers.pop() if answers else OK)

    with RawTarget(answer) as target:
        engine = run(target.url(), 20.0)
    assert engine.sums("codes") == {"200": 10}


def test_a_target_that_answers_503_to_the_end_is_tested_all_the_same() -> None:
    def answer(line: Line) -> None:
        line.say(STARTING)

    with RawTarget(answer) as target:
        assert run(target.url(), 1.5).sums("codes") == {"503": 10}


def test_a_post_is_not_sent_before_the_load() -> None:
    with RequestTarget() as target:
        run(target.url(), 5.0, method="POST", body="x")
    methods = [head.split()[0] for head in target.heads]
    assert methods == [b"HEAD", *[b"POST"] * 10]


def test_a_service_that_does_not_answer_head_can_have_a_readiness_url() -> None:
    with RawTarget(lambda line: False) as target, RequestTarget() as health:
        message = failure(run(target.url(), 1.5, method="POST"))
        asked = target.requests.total()
        ready = run(target.url(), method="POST", probe={"url": health.url(), "wait": 1.5})
    assert message.endswith("(it was asked with HEAD; a readinessUrl would be asked instead)")
    assert ready.sums("failures") == {"HTTPConnectionClosed": 10}
    assert target.requests.total() == asked + 10


def test_the_readiness_url_must_answer_well_before_the_target_is_loaded() -> None:
    with RequestTarget() as target:
        probe = {"url": target.url("/status/503"), "wait": 0.0}
        message = failure(run(target.url(), probe=probe))
        assert dict(target.requests) == {"/status/503": 1}
        ready = run(target.url(), probe={"url": target.url("/status/204"), "wait": 0.0})
    assert "the readiness URL at localhost" in message
    assert "status 503" in message
    assert ready.sums("codes") == {"200": 10}


def test_the_second_target_of_an_ab_run_must_be_there_too(port: int) -> None:
    with RequestTarget() as target:
        against = {"target_url": f"http://127.0.0.1:{port}/"}
        message = failure(run(target.url(), against=against))
    assert f"127.0.0.1:{port}" in message


def test_a_run_can_be_stopped_while_it_waits(port: int) -> None:
    with EngineProcess(job(f"http://127.0.0.1:{port}/", **LOAD, probe={"wait": 60.0})) as engine:
        engine.wait_for("waiting")
        engine.command("stop")
        _, last = engine.finish()
    assert (last["event"], last["outcome"], last["sent"]) == ("finished", "stopped", 0)


@pytest.fixture
def private(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "private.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context, str(tmp_path / "private.pem")


def test_a_private_authority_is_named_as_the_cause(private: tuple[ssl.SSLContext, str]) -> None:
    with RequestTarget(private[0]) as target:
        message = failure(run(target.url()))
    assert message.endswith(
        "unable to get local issuer certificate (TM_CA_FILE names certificates to trust); "
        "no load was sent"
    )


def test_a_private_authority_can_be_trusted(private: tuple[ssl.SSLContext, str]) -> None:
    context, ca_file = private
    with RequestTarget(context) as target:
        assert run(target.url(), ca_file=ca_file).sums("codes") == {"200": 10}


def test_a_certificate_for_another_name_is_named_as_the_cause(
    private: tuple[ssl.SSLContext, str],
) -> None:
    context, ca_file = private
    with RequestTarget(context) as target:
        url = f"https://other.test:{target.port}/ok"
        message = failure(run(url, addresses=["127.0.0.1"], ca_file=ca_file))
    assert "Hostname mismatch, certificate is not valid for 'other.test'" in message


def test_a_final_dot_is_not_part_of_the_certificates_name(
    private: tuple[ssl.SSLContext, str],
) -> None:
    context, ca_file = private
    with RequestTarget(context) as target:
        url = f"https://localhost.:{target.port}/ok"
        engine = run(url, addresses=["127.0.0.1"], ca_file=ca_file)
    assert engine.sums("codes") == {"200": 10}


def test_unusable_certificates_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    with RequestTarget() as target:
        url = target.url().replace("http:", "https:")
        message = failure(run(url, ca_file=str(tmp_path / "empty.pem")))
    assert message.startswith(f"cannot use the certificates in {tmp_path / 'empty.pem'}: ")
