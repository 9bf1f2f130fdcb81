"""A real server on a free port, with an engine that only pretends to send traffic."""

import asyncio
import contextlib
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path

import httpx2

from tests.unit.server.contract import conformance
from tm_cli.server.quota import Quota
from tm_cli.server.server import ServeOptions, serve

FAKE_ENGINE = (sys.executable, str(Path(__file__).with_name("fake_engine.py")))
PATIENCE = 10.0
QUOTA = {field.name for field in fields(Quota)}
"""Options of a server that are limits."""


def eventually(probe, patience=PATIENCE, explain=lambda: "nothing came of it"):
    """The first truthy answer of `probe`; fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (found := probe()):
        assert time.monotonic() < deadline, explain()
        time.sleep(0.01)
    return found


class RunningServer:
    """`serve()` in a thread; stopping it is graceful and re-raises what it raised."""

    def __init__(self, data_dir, **options):
        limits = {name: options.pop(name) for name in QUOTA & options.keys()}
        settings = {"port": 0, "engine_command": FAKE_ENGINE, "quota": Quota(**limits), **options}
        self.options = ServeOptions(data_dir, **settings)
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._error = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            serve(self.options, on_ready=self._on_ready, stop=self._stop)
        except BaseException as error:
            self._error = error
        self._ready.set()

    def _on_ready(self, info):
        self.info = info
        self._loop = asyncio.get_running_loop()
        self._ready.set()

    def start(self):
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        if self._error:
            raise self._error
        return self

    def stop(self):
        self.ask_to_stop()
        self.join()

    def ask_to_stop(self):
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # its loop has just been closed
                self._loop.call_soon_threadsafe(self._stop.set)

    def join(self, patience=PATIENCE):
        self._thread.join(patience)
        assert not self._thread.is_alive()
        if self._error:
            raise self._error

    @property
    def key(self):
        return self.info.api_key_file.read_text().strip()

    def client(self, **headers):
        headers = {"X-Api-Key": self.key, **headers}
        plain = httpx2.HTTPTransport(verify=False)  # building a TLS context takes a while
        hooks = {"response": [conformance.check]}
        base_url = self.info.base_url
        return httpx2.Client(base_url=base_url, headers=headers, transport=plain, event_hooks=hooks)


class Api:
    """The verbs that most tests need."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, verb):
        def send(path, **how):
            return getattr(self.client, verb)("/api/v1" + path, **how)

        return send

    def save(self, name="checkout", script="", **fields):
        """Create a profile whose target tells the fake engine what to do; return its id."""
        answer = self.post("/profiles", json=body(name, script, **fields))
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def start(self, profile_id, **asked):
        answer = self.post(f"/profiles/{profile_id}/runs", json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()["runId"]

    def status(self, profile_id):
        return self.get(f"/profiles/{profile_id}/status").json()

    def until_status(self, profile_id, status):
        def probe():
            found = self.status(profile_id)
            return found if found["status"] == status else None

        def explain():
            return f"{self.status(profile_id)} with {self.rows(profileId=profile_id)}"

        return eventually(probe, explain=explain)

    def rows(self, **query):
        answer = self.get("/history", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["content"]

    def row_of(self, run_id):
        """The history row of a run, once it is there."""
        return eventually(
            lambda: next((row for row in self.rows(size=100) if row["runId"] == run_id), None)
        )

    def judged(self, run_id):
        """The detail of a run, once it has a verdict."""
        row = eventually(lambda: (found := self.row_of(run_id))["autoVerdict"] and found)
        return self.get(f"/history/{row['id']}").json()


@contextlib.contextmanager
def serving(data_dir, **options):
    """The API of a server that stops at the end of the block."""
    server = RunningServer(data_dir, **options).start()
    with server.client() as client:
        yield Api(client)
    server.stop()


def body(name="checkout", script="", **fields):
    return {
        "name": name,
        "duration": 20,
        "targetUrl": f"http://127.0.0.1:9/?{script}",
        "points": [{"x": 0, "y": 20}, {"x": 20, "y": 20}],
        **fields,
    }
