"""nginx with a fixed answer: a target that is faster than any generator here."""

from __future__ import annotations

import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generators import machine

_CONFIG = """
daemon off;
master_process off;
worker_processes 1;
error_log stderr crit;
pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /count {{ stub_status; }}
        location / {{ default_type text/plain; return 200 "an answer of 24 bytes..\n"; }}
    }}
}}
"""


def requests(url: str) -> int:
    """How many requests it has had so far, without those of this function."""
    with urllib.request.urlopen(f"{url}count", timeout=10) as answer:  # noqa: S310 - ours
        counts = answer.read().decode().splitlines()[2].split()
    _asked[url] = _asked.get(url, 0) + 1
    return int(counts[2]) - _asked[url]


_asked: dict[str, int] = {}


@contextmanager
def serving() -> Iterator[str]:
    """Its URL, while it runs on the target's core."""
    with tempfile.TemporaryDirectory() as directory:
        port = machine.free_port()
        config = Path(directory, "nginx.conf")
        config.write_text(_CONFIG.format(directory=directory, port=port), encoding="utf-8")
        command = ["nginx", "-p", directory, "-e", "stderr", "-c", str(config)]
        process = subprocess.Popen(machine.on_target_core(command), text=True)
        try:
            machine.wait_for(port)
            yield f"http://127.0.0.1:{port}/"
        finally:
            machine.end(process)
