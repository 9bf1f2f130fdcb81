"""A server in a process of its own whose engines are real, unless a file says otherwise.

    killable_server.py DATA_DIR SLOTS

Prints its base URL once it listens. While the file `AT_ONCE` is there, engines play their runs at
once and without traffic, as in fake_engine.py.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil

from tests.unit.server.running_server import FAKE_ENGINE, PATIENCE, Api, eventually
from tm_cli.server.server import ServeOptions, serve

AT_ONCE = "play-at-once"
_HOME = "TMPDIR"  # children inherit it; they get no variable of an unknown name


class KillableServer:
    """A data directory with a server on it, most of the time; `home` is the directory around it.

    All processes that come from here carry the directory's name in their environment.
    """

    def __init__(self, home, slots):
        self.home = home
        self.data_dir = home / "data"
        self.slots = slots
        self._complaints = home / "complaints"
        self.api = None
        self._process = None

    @property
    def complaints(self):
        """The end of what all servers of this house have written to standard error."""
        return self._complaints.read_text()[-5000:]

    @property
    def is_alive(self):
        return self._process is not None

    def start(self):
        """Start a server and wait until it listens."""
        command = [sys.executable, __file__, str(self.data_dir), str(self.slots)]
        with self._complaints.open("a") as stderr:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, _HOME: str(self.home)},
                text=True,
            )
        base_url = self._process.stdout.readline().strip()
        assert base_url, "the server did not start"
        key = (self.data_dir / "api-key").read_text().strip()
        plain = httpx2.HTTPTransport(verify=False)
        client = httpx2.Client(
            base_url=base_url, headers={"X-Api-Key": key}, transport=plain, timeout=PATIENCE
        )
        self.api = Api(client)

    def kill(self):
        """Kill the server, and nothing else, the hard way."""
        self._process.kill()
        self._forget()

    def stop(self):
        """Ask it to stop, if it is there."""
        if self.is_alive:
            self._process.send_signal(signal.SIGTERM)
            self._forget()

    def _forget(self):
        self._process.wait(PATIENCE)
        self._process.stdout.close()
        self._process = None
        self.api.client.close()

    def engines(self):
        """The engines that the server has started and not yet buried."""
        server = psutil.Process(self._process.pid)
        return [child for child in server.children() if child.is_running()]

    def strays(self):
        """What is left of a dead server."""
        return [process for process in psutil.process_iter() if _comes_from(process, self.home)]

    @contextlib.contextmanager
    def at_once(self):
        """Have the engines that are started meanwhile play at once and without traffic."""
        eventually(lambda: all(_has_chosen(engine) for engine in self.engines()))
        switch = self.home / AT_ONCE
        switch.touch()
        try:
            yield
        finally:
            switch.unlink()

    def wait_for_engines(self, before, count):
        """The `count` engines that were not there `before`."""

        def new():
            found = [engine for engine in self.engines() if engine not in before]
            return found if len(found) == count else None

        return eventually(new)


def _comes_from(process, home):
    try:
        return process.environ().get(_HOME) == str(home)
    except psutil.Error:  # somebody else's, or gone by now
        return False


def _has_chosen(engine):
    try:
        return "either_engine.py" not in " ".join(engine.cmdline())
    except psutil.Error:  # gone by now
        return True


def main(data_dir, slots):
    here = Path(__file__)
    switch = Path(data_dir).with_name(AT_ONCE)
    engine = (sys.executable, str(here.with_name("either_engine.py")), str(switch), *FAKE_ENGINE)
    options = ServeOptions(
        Path(data_dir),
        port=0,
        slots=int(slots),
        engine_command=engine,
    )
    serve(options, on_ready=announce)


def announce(info):
    sys.stdout.write(info.base_url + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
