"""A locustfile in the engine's process, against a target that knows what it was asked."""

import asyncio
import random
import threading
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.unit.server.engine.engine_process import PATIENCE, EngineProcess, job
from tm_cli.runtime.locustfile import hash_of
from tm_cli.server.validation import merge_encoded

VISITORS = 60
HERE = Path(__file__).parent
pytestmark = pytest.mark.process


class Shop:
    """Answers slowly to 2 % of the checkouts, and wrongly to 1 %; `times` are what it took."""

    def __init__(self):
        self.asked = Counter()
        self.wrong = self.connections = self.open = 0
        self.times = defaultdict(list)
        self._random = random.Random(16)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    async def _serve(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=512)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        self._ready.set()
        await self._over.wait()
        server.close()

    async def _talk(self, reader, writer):
        self.connections += 1
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length:")[2].split()
                await reader.readexactly(int(length[0]) if length else 0)
                status, body = await self._answer(head.split()[1].decode())
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
                writer.write(body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, path):
        self.asked[path] += 1
        begun = self._loop.time()
        draw, body = self._random.random() if path == "/checkout" else 1.0, b"ok"
        if draw < 0.02:
            await asyncio.sleep(0.3)
        else:
            await asyncio.sleep(0.05)
        if 0.02 <= draw < 0.03:
            self.wrong += 1
            body = b"no"
        self.times[path].append(self._loop.time() - begun)
        return {"/missing": 404, "/broken": 503}.get(path, 200), body


def locustfile_job(url, path, **changes):
    place = {"path": str(path)}
    sha256 = hash_of(path.read_bytes())
    reference = {"file": path.name, "sha256": sha256, "place": place}
    return job(url, locustfile=reference, visit_timeout=20.0, **changes)


def steps_of(engine):
    found = {}
    for event in engine.events:
        for name, step in event["steps"].items() if event["event"] == "steps" else ():
            found[name, event["index"]] = step
    return found


@pytest.fixture(scope="module")
def played():
    load = {"points": [[0, 30], [2, 30]], "duration": 2.0, "slots": 200}
    with Shop() as shop:
        engine = EngineProcess(locustfile_job(shop.url, HERE / "shop.py", **load))
        with engine:
            assert engine.finish()[0] == 0
        yield shop, engine


def total(engine, name, kind):
    counts = Counter()
    for (step, _), found in steps_of(engine).items():
        if step == name:
            counts.update(found[kind] if kind != "completed" else {"completed": found[kind]})
    return counts


def test_every_visitor_and_every_request_is_counted_exactly(played):
    shop, engine = played
    visitors = sum(bucket["completed"] for bucket in engine.buckets.values())
    assert visitors == VISITORS
    names = {
        "/login": shop.asked["/login"],
        "/products/[page]": shop.asked["/products/0"] + shop.asked["/products/1"],
        "/missing": shop.asked["/missing"],
        "broken": shop.asked["/broken"],
        "/checkout": shop.asked["/checkout"],
    }
    assert {step for step, _ in steps_of(engine)} == set(names)
    found = {name: total(engine, name, "completed")["completed"] for name in names}
    assert found == names
    assert set(shop.asked.values()) == {VISITORS}


def test_what_fails_is_what_the_file_says(played):
    shop, engine = played
    assert total(engine, "/checkout", "failures") == {"CheckFailed got no": shop.wrong}
    assert shop.wrong == 2
    assert total(engine, "/missing", "codes") == {"200": VISITORS}
    assert total(engine, "broken", "codes") == {"503": VISITORS}
    assert engine.sums("failures") == {"broken: 503": VISITORS}


@pytest.mark.parametrize("name", ["/checkout", "/login"])
def test_response_times_of_a_step_are_those_of_the_target(played, name):
    """A busy machine adds to them; nothing makes them shorter."""
    shop, engine = played
    found = merge_encoded(
        step["response"] for (one, _), step in steps_of(engine).items() if one == name
    )
    truth = sorted(shop.times[name])
    for percentile in (50, 90):
        true = truth[round(percentile / 100 * (len(truth) - 1))]
        seen = found.get_value_at_percentile(percentile) / 1e6
        assert 0.99 * true <= seen <= true + 5


def test_connections_of_visitors_are_their_own_and_closed_after_them(played):
    shop, _ = played
    assert shop.connections == VISITORS
    assert shop.open == 0


SOURCE = """
from locust import User, constant, events, task
@events.test_start.add_listener
def ask_once(environment, **_):
    environment.events.request.fire(
        request_type="GET", name="start", response_time=1, response_length=0, exception=None,
        context={{}},
    )
class One(User):
    @task
    def act(self):
        {act}
"""


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("self.environment.runner.quit()", "has ended the run (runner.quit)"),
        ("self.environment.process_exit_code = 3", "process_exit_code to 3"),
        ("pass", "no visitor of the locustfile gives_up.py has sent a request"),
    ],
)
def test_a_run_that_the_file_gives_up_has_failed(tmp_path, act, message):
    path = tmp_path / "gives_up.py"
    path.write_text(SOURCE.format(act=act))
    load = {"points": [[0, 20], [0.5, 20]], "duration": 0.5}
    with EngineProcess(locustfile_job("http://127.0.0.1:9/", path, **load)) as engine:
        code, last = engine.finish()
    assert (code, last["event"]) == (1, "failed")
    assert message in last["message"]
