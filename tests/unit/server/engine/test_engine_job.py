from collections.abc import Iterator
from typing import Any

import pytest

from tm_cli.server.engine.distributed.roles import read_role
from tm_cli.server.engine.job import EngineJob, JobError
from tm_cli.server.engine.protocol import execute_commands
from tm_cli.server.engine.schedule import WHOLE, Share

VALID = {
    "run_id": "r1",
    "target_url": "http://127.0.0.1:8080/items?id=1",
    "method": "get",
    "headers": [["X-Test", "1"], ["X-Test", "2"]],
    "body": None,
    "points": [[0, 10], [60, 20]],
    "duration": 60.0,
    "interpolation": "LINEAR",
    "loop": False,
    "slots": 256,
    "timeout": 10.0,
    "max_rps": None,
}


def test_a_valid_job_is_taken_as_it_is() -> None:
    job = EngineJob.parse(VALID)
    assert (job.method, job.points, job.slots) == ("GET", [(0, 10), (60, 20)], 256)
    assert job.headers == [("X-Test", "1"), ("X-Test", "2")]
    assert job.curve.planned_before(60) == 900


def test_a_worker_alone_sends_everything_to_one_target_at_once() -> None:
    job = EngineJob.parse(VALID)
    assert (job.share, job.hold, len(job.targets), job.plan.sides) == (WHOLE, False, 1, range(1))


def test_an_ab_run_has_two_targets_and_two_sides() -> None:
    against = {"target_url": "http://b.test:81/y", "seed": 5, "addresses": ["10.0.0.7"]}
    job = EngineJob.parse({**VALID, "against": against, "addresses": ["127.0.0.1", "::1"]})
    new, old = job.targets
    assert (new.host, new.addresses) == ("127.0.0.1", ("127.0.0.1", "::1"))
    assert (old.host, old.port, old.addresses) == ("b.test", 81, ("10.0.0.7",))
    assert job.plan.sides == range(2)


def test_the_cap_applies_to_the_curve() -> None:
    assert EngineJob.parse({**VALID, "max_rps": 5}).curve.planned_before(60) == 300


@pytest.mark.parametrize(
    ("url", "host", "port", "is_tls", "request_target"),
    [
        ("http://a.test", "a.test", 80, False, "/"),
        ("http://a.test/", "a.test", 80, False, "/"),
        ("https://a.test/x", "a.test", 443, True, "/x"),
        ("http://a.test:81?q=1", "a.test", 81, False, "/?q=1"),
        ("http://[::1]:81/x#part", "::1", 81, False, "/x"),
        ("http://a.test/a%20b/{id}?q=a+b&r=[1]", "a.test", 80, False, "/a%20b/{id}?q=a+b&r=[1]"),
        ("http://a.test/größe", "a.test", 80, False, "/gr%C3%B6%C3%9Fe"),
        ("http://bücher.test/", "xn--bcher-kva.test", 80, False, "/"),
        ("http://a.test/x//y", "a.test", 80, False, "/x//y"),
    ],
)
def test_a_target_is_split(
    url: str, host: str, port: int, is_tls: bool, request_target: str
) -> None:
    target = EngineJob.parse({**VALID, "target_url": url}).targets[0]
    assert (target.host, target.port, target.is_tls) == (host, port, is_tls)
    assert target.request_target == request_target


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target_url": "ftp://a.test/"}, "not an http or https URL"),
        ({"target_url": "/relative"}, "not an http or https URL"),
        ({"target_url": "http://user:secret@a.test/"}, "credentials"),
        ({"target_url": "http://a.test//x"}, "two slashes"),
        ({"target_url": "http://a.test/a b"}, "blanks"),
        ({"target_url": "http://a.test/\r\nX: y"}, "control characters"),
        ({"target_url": "http://a.test:99999/"}, "ort out of range"),
        ({"target_url": "http://" + "a" * 70 + ".test/"}, "label"),
        ({"method": "GE T"}, "method"),
        ({"headers": [["a b", "1"]]}, "header name"),
        ({"headers": [["a", "1\r\nb: 2"]]}, "cannot carry"),
        ({"headers": [["a", "€"]]}, "cannot carry"),
        ({"headers": [["Content-Length", "5"]]}, "set by the load generator"),
        ({"points": []}, "points"),
        ({"points": [[0, -1]]}, "negative"),
        ({"points": [[0, float("inf")]]}, "finite"),
        ({"points": [[0]]}, "points"),
        ({"duration": 0}, "duration"),
        ({"duration": float("nan")}, "duration"),
        ({"interpolation": "CUBIC"}, "interpolation"),
        ({"slots": 0}, "slots"),
        ({"slots": 901}, "slots"),
        ({"timeout": -1}, "timeout"),
        ({"max_rps": 0}, "max_rps"),
        ({"target_url": None}, "target_url"),
        ({"share": {"index": 2, "count": 2}}, "invalid share: 2 of 2"),
        ({"share": {"index": -1, "count": 2}}, "invalid share: -1 of 2"),
        ({"against": {"target_url": "ftp://a.test/"}}, "against.target_url: .* not an http"),
        ({"against": {"target_url": "http://a.test/"}, "slots": 1}, "slots: an A/B run needs two"),
        ({"addresses": []}, "addresses"),
        ({"addresses": ["localhost"]}, "addresses"),
    ],
)
def test_an_invalid_job_is_refused_by_name(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(JobError, match=reason) as caught:
        EngineJob.parse({**VALID, **change})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("lines", [[], [b"{"], [b"[]"], [b"{}"], [b'{"job": 1}'], [b"\xff"]])
def test_a_first_line_that_is_no_job_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(JobError):
        read_role(iter(lines))


class Obedient:
    def __init__(self) -> None:
        self.done: list[str] = []

    def go(self) -> None:
        self.done.append("go")

    def share(self, share: Share, second: float) -> None:
        self.done.append(f"share {share.index} of {share.count} from {second:g}")

    def finish(self, second: float) -> None:
        self.done.append(f"finish at {second:g}")

    def renew(self, values: dict[str, str]) -> None:
        self.done.append(f"renew {values}")

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def stop(self) -> None:
        self.done.append("stop")

    def abort(self) -> None:
        self.done.append("abort")


def test_commands_are_carried_out_and_the_end_of_input_aborts() -> None:
    obedient = Obedient()
    commands = [b'{"command": "pause"}', b'{"command": "resume"}', b'{"command": "stop"}']
    execute_commands(iter(commands), obedient)
    assert obedient.done == ["pause", "resume", "stop", "abort"]


def test_an_early_end_is_passed_on_and_an_unusable_one_ignored() -> None:
    obedient = Obedient()
    ends = [b'{"command": "finish", "at": 20.0}', b'{"command": "finish", "at": "soon"}']
    execute_commands(iter([*ends, b'{"command": "finish"}']), obedient)
    assert obedient.done == ["finish at 20", "abort"]


def test_new_values_are_passed_on_and_unusable_ones_ignored() -> None:
    obedient = Obedient()
    news = [b'{"command": "renew", "values": {"=TOKEN": "b"}}', b'{"command": "renew"}']
    execute_commands(iter([*news, b'{"command": "renew", "values": {"a": 1}}']), obedient)
    assert obedient.done == ["renew {'=TOKEN': 'b'}", "abort"]


def test_a_share_is_passed_on() -> None:
    obedient = Obedient()
    change = b'{"command": "share", "index": 1, "count": 3, "from": 12.5}'
    execute_commands(iter([change, b'{"command": "go"}']), obedient)
    assert obedient.done == ["share 1 of 3 from 12.5", "go", "abort"]


@pytest.mark.parametrize(
    "change",
    [
        b'{"command": "share"}',
        b'{"command": "share", "index": 3, "count": 3, "from": 1}',
        b'{"command": "share", "index": 0, "count": 0, "from": 1}',
        b'{"command": "share", "index": 0, "count": 1, "from": -1}',
        b'{"command": "share", "index": 0, "count": 1, "from": NaN}',
    ],
)
def test_an_impossible_share_is_ignored(change: bytes) -> None:
    obedient = Obedient()
    execute_commands(iter([change]), obedient)
    assert obedient.done == ["abort"]


def test_nonsense_is_ignored() -> None:
    obedient = Obedient()
    execute_commands(
        iter([b"", b"nonsense", b"[1]", b'{"command": ["pause"]}', b'{"command": "abort"}']),
        obedient,
    )
    assert obedient.done == ["abort"]


def test_a_broken_input_aborts_too() -> None:
    def broken() -> Iterator[bytes]:
        yield b'{"command": "pause"}'
        raise OSError("gone")

    obedient = Obedient()
    with pytest.raises(OSError, match="gone"):
        execute_commands(broken(), obedient)
    assert obedient.done == ["pause", "abort"]


@pytest.mark.parametrize(
    ("rate", "steps", "senders"),
    [
        (100, None, 256),
        (5, [{"request": "/"}, {"think": "3s"}, {"request": "/"}], 256),
        (100, [{"request": "/"}, {"think": "1s..3s"}, {"request": "/"}], 500),
        (100, [{"request": "/", "weight": 1}, {"request": "/", "weight": 2}], 256),
        (1000, [{"request": "/"}, {"think": "60s"}, {"request": "/"}], 3600),
    ],
)
def test_visitors_get_as_many_senders_as_they_occupy(
    rate: float, steps: list[dict[str, Any]] | None, senders: int
) -> None:
    points = [(0.0, 0.0), (5.0, rate), (10.0, 0.0)]
    job = EngineJob(
        run_id="r",
        target_url="http://localhost/",
        points=points,
        duration=10,
        interpolation="LINEAR",
        steps=steps,
    )
    assert job.senders(256) == senders
    assert job.senders(5000) == 5000
