"""The Strait server of tests/strait behind the engine's wire, with replicas that are behind."""

from __future__ import annotations

import json
import random
from dataclasses import replace

from tests.services.strait import api as strait_api
from tests.simulation.documents import spelt
from tests.simulation.messages import Reply, Request
from tests.simulation.strait.world import World

NOT_FOUND = strait_api.envelope(strait_api.Problem(404, "run not found"))


class Api:
    """Answers requests; `style` above 0 spells the same documents differently."""

    def __init__(self, world: World, *, style: int) -> None:
        self._world = world
        self._server = strait_api.Api(world, limited=world.truth.limited)
        self._style = random.Random(style) if style else None

    def endpoint_of(self, request: Request) -> str:
        match request.method, request.path.strip("/").split("/")[1:]:
            case "POST", ["jobs", _, "trigger"]:
                return "start"
            case "DELETE", ["runs", _]:
                return "stop"
            case "GET", ["runs"]:
                return "list"
            case "GET", ["runs", _]:
                return "run"
            case "GET", ["runs", _, "lineage"]:
                return "lineage"
        return "other"

    def answer(self, request: Request) -> Reply:
        world, endpoint = self._world, self.endpoint_of(request)
        world.settle()
        known = set(world.runs)
        reply = self._see(endpoint, request) or self._server.answer(_as_sent(request))
        if reply is None:
            raise AssertionError("only faults break connections")
        if endpoint == "start":
            world.ours += [run_id for run_id in world.runs if run_id not in known]
        return self._as_received(reply)

    def refuse(self, request: Request, reply: Reply) -> None:
        """Keep the key of a start that the plan has refused."""
        headers = {"Content-Type": reply.headers.get("content-type", "")}
        answer = strait_api.Reply(reply.status, reply.body, headers)
        self._server.note_refusal(_as_sent(request), strait_api.TRIGGER, answer)

    def _see(self, endpoint: str, request: Request) -> strait_api.Reply | None:
        """What a replica shows; None where the server itself answers."""
        world, now = self._world, self._world.elapsed()
        if endpoint == "run":
            run_id = request.path.rsplit("/", 1)[-1]
            seen = world.at(run_id, now - world.truth.run_lag)
            if run_id in world.deleted or seen is None:
                return NOT_FOUND
            return strait_api.as_json(200, seen) if world.truth.run_lag else None
        if endpoint == "list":
            return self._list(request, now - world.truth.list_lag)
        return None

    def _list(self, request: Request, moment: float) -> strait_api.Reply | None:
        world, runs = self._world, self._world.runs
        seen = {run_id: world.at(run_id, moment) for run_id in runs if run_id not in world.deleted}
        world.runs = {
            run_id: replace(runs[run_id], document=document)
            for run_id, document in seen.items()
            if document is not None
        }
        try:
            return self._server.answer(_as_sent(request))
        finally:
            world.runs = runs

    def _as_received(self, reply: strait_api.Reply) -> Reply:
        headers = {name.lower(): value for name, value in reply.headers.items()}
        body = reply.body
        if self._style and headers.get("content-type") == "application/json":
            body = spelt(json.loads(body), self._style)
        return Reply(reply.status, body, headers)


def _as_sent(request: Request) -> strait_api.Request:
    """The request as the server sees it, with its own key."""
    body = b"" if request.body is None else json.dumps(request.body).encode()
    headers = {
        **request.headers,
        "authorization": f"Bearer {strait_api.KEY}",
        "accept": "application/json",
        **({"content-type": "application/json"} if body else {}),
    }
    query = {name: [value] for name, value in request.query.items()}
    return strait_api.Request(request.method, request.path, query, headers, body)
