"""The engine as the server sees it: a process, its lines, and what arrives at the target."""

import os
import ssl
import time
from pathlib import Path

import pytest
import trustme
from hdrh.histogram import HdrHistogram

from tests.unit.server.engine.engine_process import EngineProcess, RequestTarget, job

pytestmark = pytest.mark.process

ATTEMPTS = 3


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A target with a certificate for this machine."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def test_exactly_the_planned_requests_arrive(target: RequestTarget) -> None:
    ramp = job(target.url(), points=[[0, 0], [1, 200], [2, 0]], duration=2.0)
    with EngineProcess(ramp) as engine:
        code, finished = engine.finish()
    assert code == 0
    assert target.total == 200
    assert {k: finished[k] for k in ("outcome", "elapsed", "planned", "due", "sent")} == {
        "outcome": "completed",
        "elapsed": 2.0,
        "planned": 200,
        "due": 200,
        "sent": 200,
    }
    assert (finished["completed"], finished["shortfall"]) == (200, 0)
    assert engine.sums("codes") == {"200": 200}
    assert engine.events[0]["event"] == "started"
    assert engine.events[0]["at"].endswith("Z")


def test_events_are_reported_about_once_a_second(target: RequestTarget) -> None:
    with EngineProcess(job(target.url(), duration=2.2)) as engine:
        engine.finish()
    progress = [e for e in engine.events if e["event"] == "progress"]
    assert len(progress) == 2
    assert set(progress[0]) == {
        "event", "elapsed", "due", "sent", "completed", "in_flight", "backlog", "slots",
        "lag_p99_ms", "cpu", "generator_saturated", "downstream_saturated", "flaky_dispatch",
    }  # fmt: skip
    assert 0.8 < progress[0]["elapsed"] < 1.5
    assert 0 < progress[0]["cpu"] <= 1
    assert len([e for e in engine.events if e["event"] == "bucket"]) >= 2


def test_histograms_hold_every_request(target: RequestTarget) -> None:
    with EngineProcess(job(target.url())) as engine:
        engine.finish()
    [bucket] = engine.buckets.values()
    for name in ("response", "service"):
        assert HdrHistogram.decode(bucket[name]).get_total_count() == 100
    assert 0 < bucket["p50_ms"] <= bucket["p95_ms"] <= bucket["p99_ms"]


def test_headers_method_and_body_are_sent_as_given(target: RequestTarget) -> None:
    headers = [["X-A", "1"], ["X-A", "2"], ["Host", "shop.test"]]
    one = job(target.url("/ok/?x=1"), method="post", headers=headers, body="", points=[[0, 1]])
    with EngineProcess(one) as engine:
        engine.finish()
    assert engine.sums("codes") == {"200": 1}
    lines = target.heads[0].split(b"\r\n")
    assert lines[0] == b"POST /ok/?x=1 HTTP/1.1"
    assert {b"X-A: 1", b"X-A: 2", b"Host: shop.test", b"Content-Length: 0"} < set(lines)
    assert any(line.startswith(b"User-Agent: tm/") for line in lines)
    assert not any(line.lower().startswith(b"accept-encoding") for line in lines)


@pytest.mark.parametrize(
    ("method", "body"),
    [("PUT", "größe"), ("PATCH", "{}"), ("DELETE", None), ("HEAD", None), ("QUERY", "x" * 100_000)],
)
def test_any_method_and_body_is_sent(target: RequestTarget, method: str, body: str | None) -> None:
    with EngineProcess(job(target.url(), method=method, body=body, points=[[0, 5]])) as engine:
        engine.finish()
    assert engine.sums("codes") == {"200": 5}
    assert target.heads[0].startswith(f"{method} /ok HTTP/1.1\r\n".encode())
    assert target.bodies == [(body or "").encode()] * 5
    assert target.connections < 5


def test_connections_are_kept_alive(target: RequestTarget) -> None:
    with EngineProcess(job(target.url())) as engine:
        engine.finish()
    assert target.total == 100
    assert target.connections < 50


@pytest.mark.parametrize("code", ["302", "404", "503"])
def test_a_status_is_counted_and_not_acted_upon(target: RequestTarget, code: str) -> None:
    with EngineProcess(job(target.url(f"/status/{code}"))) as engine:
        engine.finish()
    assert engine.sums("codes") == {code: 100}
    assert target.total == 100


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/close", "/second"])
def test_a_closed_connection_is_one_failure_and_no_repetition(
    target: RequestTarget, method: str, path: str
) -> None:
    with EngineProcess(job(target.url(path), method=method)) as engine:
        _, finished = engine.finish()
    assert target.total == finished["completed"] == 100
    codes, failures = engine.sums("codes"), engine.sums("failures")
    assert failures == {"HTTPConnectionClosed": 100 - codes["200"]}
    assert codes["200"] == (0 if path == "/close" else target.connections)


def test_half_a_body_is_a_failure(target: RequestTarget) -> None:
    with EngineProcess(job(target.url("/truncated"))) as engine:
        engine.finish()
    assert engine.sums("failures") == {"HTTPParseError": 100}
    assert target.total == 100


def test_a_server_that_closes_after_every_answer_gets_every_request(target: RequestTarget) -> None:
    with EngineProcess(job(target.url("/closing"))) as engine:
        engine.finish()
    assert engine.sums("codes")["200"] + engine.sums("failures").total() == 100
    assert engine.sums("codes")["200"] >= 95  # the next request may just meet the closing
    assert target.connections >= 95


def test_large_bodies_are_read(target: RequestTarget) -> None:
    with EngineProcess(job(target.url("/large"), points=[[0, 20]])) as engine:
        engine.finish()
    assert engine.sums("codes") == {"200": 20}


def test_refused_connections_are_failures_by_name(target: RequestTarget) -> None:
    with EngineProcess(job("http://127.0.0.1:9/", duration=2.5)) as engine:
        code, finished = engine.finish()
    assert code == 0
    assert engine.sums("failures") == {"ConnectionRefusedError": 250}
    assert finished["flaky_dispatch"] is True


@pytest.mark.parametrize("path", ["/never", "/drip"])
def test_no_answer_in_time_is_a_failure(target: RequestTarget, path: str) -> None:
    with EngineProcess(job(target.url(path), points=[[0, 20]], timeout=0.5)) as engine:
        _, finished = engine.finish()
    assert engine.sums("failures") == {"TimeoutError": 20}
    assert finished["completed"] == target.total == 20
    [bucket] = engine.buckets.values()
    assert bucket["p50_ms"] == pytest.approx(500, rel=0.2)


def test_a_tls_handshake_without_an_answer_is_a_timeout_too(target: RequestTarget) -> None:
    url = f"https://127.0.0.1:{target.port}/"
    with EngineProcess(job(url, points=[[0, 5]], timeout=0.5)) as engine:
        _, finished = engine.finish()
    assert engine.sums("failures") == {"TimeoutError": 5}
    assert finished["completed"] == 5


def test_a_target_that_holds_every_slot_is_distinguished_from_a_slow_machine(
    target: RequestTarget,
) -> None:
    stuck = job(target.url("/never"), slots=4, points=[[0, 40]], duration=4.0, timeout=2.0)
    sent = 0
    for _ in range(ATTEMPTS):  # a machine that is really slow just then is not told apart
        with EngineProcess(stuck) as engine:
            _, finished = engine.finish()
        sent += finished["completed"]
        assert finished["completed"] == finished["sent"]
        assert finished["shortfall"] == finished["due"] - finished["sent"] > 0
        assert target.total == sent
        if finished["downstream_saturated"] and not finished["generator_saturated"]:
            return
    pytest.fail(f"the target was never found out: {finished}")


def test_a_freeze_shows_in_the_response_time_of_all_who_would_have_waited(
    target: RequestTarget,
) -> None:
    frozen = job(target.url("/freeze"), slots=5, points=[[0, 100]], duration=3.0)
    with EngineProcess(frozen) as engine:
        engine.finish()
    [bucket] = engine.buckets.values()
    response = HdrHistogram.decode(bucket["response"])
    service = HdrHistogram.decode(bucket["service"])
    # a third of the requests were due in the frozen second; only five could meet it
    assert response.get_value_at_percentile(90) > 500_000
    assert service.get_value_at_percentile(90) < 250_000
    assert target.total == 300


def test_a_pause_changes_no_totals(target: RequestTarget) -> None:
    with EngineProcess(job(target.url(), duration=2.0)) as engine:
        engine.wait_for("progress")
        engine.command("pause")
        paused = engine.wait_for("paused")
        engine.wait_for("progress", lambda e: e["elapsed"] == paused["elapsed"])
        seen = target.total
        time.sleep(0.3)  # nothing is to happen now
        assert target.total == seen < 200
        engine.command("resume")
        resumed = engine.wait_for("resumed")
        code, finished = engine.finish()
    assert code == 0
    assert resumed["elapsed"] == pytest.approx(paused["elapsed"], abs=0.01)
    assert (target.total, finished["completed"], finished["elapsed"]) == (200, 200, 2.0)


@pytest.mark.parametrize("while_paused", [False, True])
def test_stop_is_quick_and_keeps_what_was_done(target: RequestTarget, while_paused: bool) -> None:
    with EngineProcess(job(target.url(), duration=60.0)) as engine:
        engine.wait_for("bucket")
        if while_paused:
            engine.command("pause")
            engine.wait_for("paused")
        asked = time.monotonic()
        engine.command("stop")
        code, finished = engine.finish()
        assert time.monotonic() - asked < 2
    assert (code, finished["outcome"]) == (0, "stopped")
    assert 0 < finished["elapsed"] < 10
    assert finished["sent"] == finished["completed"] == target.total
    assert engine.sums("codes")["200"] == target.total
    assert finished["planned"] == finished["due"]


def test_a_curve_that_is_cut_short_is_complete_and_plans_no_more(target: RequestTarget) -> None:
    with EngineProcess(job(target.url(), duration=60.0)) as engine:
        engine.wait_for("progress")
        engine.say({"command": "finish", "at": 3.0})
        code, finished = engine.finish()
    assert (code, finished["outcome"], finished["elapsed"]) == (0, "completed", 3.0)
    assert finished["planned"] == finished["sent"] == finished["completed"] == target.total
    assert finished["shortfall"] == 0
    assert engine.sums("codes")["200"] == target.total


@pytest.mark.parametrize(("duration", "outcome"), [(60.0, "stopped"), (1.0, "completed")])
def test_stop_does_not_wait_long_for_a_silent_target(
    target: RequestTarget, duration: float, outcome: str
) -> None:
    with EngineProcess(job(target.url("/never"), duration=duration, timeout=60.0)) as engine:
        engine.wait_for("progress", lambda e: e["elapsed"] >= 1)
        asked = time.monotonic()
        engine.command("stop")
        _, finished = engine.finish()
        assert time.monotonic() - asked < 6
    assert finished["outcome"] == outcome
    assert finished["sent"] > finished["completed"] == 0


def test_the_end_of_standard_input_ends_everything(target: RequestTarget) -> None:
    with EngineProcess(job(target.url("/never"), duration=60.0, timeout=60.0)) as engine:
        engine.wait_for("progress")
        asked = time.monotonic()
        engine.close_input()
        engine.finish()
        assert time.monotonic() - asked < 2


def test_a_loop_goes_on_until_stopped(target: RequestTarget) -> None:
    loop = job(target.url(), duration=0.5, loop=True)
    with EngineProcess(loop) as engine:
        engine.wait_for("progress", lambda e: e["elapsed"] > 1.5)
        engine.command("stop")
        _, finished = engine.finish()
    assert finished["outcome"] == "stopped"
    assert finished["elapsed"] > 1.5
    assert finished["completed"] == target.total > 140


def test_an_invalid_job_fails_with_a_reason() -> None:
    with EngineProcess(job("ftp://localhost/")) as engine:
        code, failed = engine.finish()
    assert code == 1
    assert failed == {
        "event": "failed",
        "message": "the job is invalid: target_url: 'ftp://localhost/' is not an http or https URL",
    }


def test_a_trusted_certificate_is_accepted_and_connections_are_kept(
    authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    environ = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    with RequestTarget(tls) as target, EngineProcess(job(target.url()), environ) as engine:
        engine.finish()
    assert engine.sums("codes") == {"200": 100}
    assert target.connections < 50


def test_certificates_are_checked_for_the_name_though_addresses_are_given(
    authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    environ = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("shop.test").configure_cert(context)
    with RequestTarget(context) as target:
        for name, expected in (("shop.test", "codes"), ("other.test", "failures")):
            url = f"https://{name}:{target.port}/ok"
            few = job(url, addresses=["127.0.0.1"], points=[[0, 5]])
            with EngineProcess(few, environ) as engine:
                engine.finish()
            assert engine.sums(expected).total() == 5
    assert len(target.heads) == 5
    assert all(b"Host: shop.test:%d" % target.port in head.split(b"\r\n") for head in target.heads)


def test_an_unknown_certificate_is_a_failure(tls: ssl.SSLContext) -> None:
    few = {"points": [[0, 5]]}
    with RequestTarget(tls) as target, EngineProcess(job(target.url(), **few)) as engine:
        engine.finish()
    assert engine.sums("failures") == {"SSLCertVerificationError": 5}
    assert target.total == 0
