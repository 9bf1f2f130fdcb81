"""The Runloop server of tests/runloop behind the engine's wire, with replicas that are behind."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import urlencode

from tests.services import runloop as runloop_world
from tests.simulation.documents import spelt
from tests.simulation.messages import Reply, Request
from tests.simulation.runloop.world import World


class Api:
    """Answers requests; `style` above 0 spells the same documents differently."""

    def __init__(self, world: World, *, style: int) -> None:
        self._world = world
        self._style = random.Random(style) if style else None

    def endpoint_of(self, request: Request) -> str:
        match request.method, request.path.strip("/").split("/")[1:]:
            case "POST", ["benchmarks", "start_run"]:
                return "start"
            case "POST", ["benchmark_runs", _, "cancel"]:
                return "cancel" if self._world.has_driver else "stop"
            case "POST", ["benchmark_runs", _, "complete"]:
                return "complete"
            case "GET", ["benchmark_runs"]:
                return "list"
            case "GET", ["benchmark_runs", _]:
                return "run"
            case "GET", ["benchmark_runs", _, "scenario_runs"]:
                return "items"
            case "GET", ["benchmarks", *_]:
                return "benchmark"
        return "other"

    def answer(self, request: Request) -> Reply:
        world, endpoint = self._world, self.endpoint_of(request)
        world.settle()
        lag = {
            "run": world.truth.run_lag,
            "items": world.truth.items_lag,
            "list": world.truth.list_lag,
        }.get(endpoint)
        if lag is not None:
            return self._as_received(self._seen(request, lag))
        known = set(world.server.runs)
        states = {run_id: run["state"] for run_id, run in world.server.runs.items()}
        reply = self._as_received(world.server.answer(self._as_sent(request)))
        if endpoint == "start":
            for run_id in set(world.server.runs) - known:
                world.adopt(run_id)
        if endpoint == "complete":
            run_id = request.path.split("/")[3]
            if (states.get(run_id), reply.status) == ("running", 200):
                world.completed(run_id)
        if request.method != "GET":
            world.note()
        return reply

    def _seen(self, request: Request, lag: float) -> runloop_world.Reply:
        """What a replica shows that is this far behind."""
        server = self._world.server
        present = server.runs, server.scenario_runs
        runs, server.scenario_runs = self._world.at(self._world.now() - lag) if lag else present
        server.runs = {key: run for key, run in runs.items() if key not in self._world.deleted}
        try:
            return server.answer(self._as_sent(request))
        finally:
            server.runs, server.scenario_runs = present

    def _as_received(self, reply: runloop_world.Reply) -> Reply:
        body = reply.body
        if self._style and reply.status < 300 and b"NaN" not in body:
            document: Any = json.loads(body)
            body = spelt(document, self._style)
        return Reply(reply.status, body, {"content-type": reply.kind})

    def _as_sent(self, request: Request) -> runloop_world.Request:
        """The request as the server sees it, with its own key."""
        headers = {**request.headers, "authorization": f"Bearer {runloop_world.KEY}"}
        body = b"" if request.body is None else json.dumps(request.body).encode()
        query = dict(request.query)
        if self._world.truth.ignores_cursors:
            query.pop("starting_after", None)
        return runloop_world.Request(request.method, request.path, urlencode(query), headers, body)
