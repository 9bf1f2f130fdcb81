"""The Runloop server of these tests, behind a socket, and tm against it."""

from __future__ import annotations

import re

import pytest
from werkzeug.wrappers import Response

from tests.services.runloop import KEY, Request, RunloopWorld


@pytest.fixture
def world():
    return RunloopWorld()


@pytest.fixture
def url(httpserver, world):
    """The address of the server; it answers everything that is asked below it."""

    def handle(request):
        headers = {name.lower(): value for name, value in request.headers.items()}
        raw = request.environ.get("RAW_URI", request.full_path)
        path, _, query = raw.partition("?")
        sent = Request(request.method, path, query, headers, request.get_data())
        reply = world.answer(sent)
        return Response(reply.body, status=reply.status, content_type=reply.kind)

    httpserver.expect_request(re.compile(".*")).respond_with_handler(handle)
    return httpserver.url_for("/").rstrip("/")


@pytest.fixture
def bench(tm, url):
    """Run `tm benchmarks` against the server."""

    def run(*argv, environ=None, **options):
        known = {"RUNLOOP_BASE_URL": url, "RUNLOOP_API_KEY": KEY, **(environ or {})}
        return tm("benchmarks", *argv, environ=known, **options)

    return run
