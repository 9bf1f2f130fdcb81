"""The engine's process: `python -m tm_cli.server.engine`."""

# Sockets and threads must be replaced before anything else is imported.
from gevent import monkey

monkey.patch_all()

import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from types import FrameType  # noqa: E402

import gevent  # noqa: E402

from tm_cli.server.engine import descriptors, protocol  # noqa: E402
from tm_cli.server.engine.job import JobError  # noqa: E402
from tm_cli.server.engine.load_test import LoadTest  # noqa: E402
from tm_cli.server.engine.protocol import (  # noqa: E402
    EventWriter,
    Watchdog,
    read_lines,
)

_LOG = logging.getLogger(__name__)
_WRITE_TIMEOUT = 5.0


def main() -> int:
    """Run the job of the first line; 0 after `finished`, 1 after `failed`."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("locust").setLevel(
        logging.ERROR
    )  # its advice on spawn rates does not apply here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which decides
    events = EventWriter(descriptors.claim_stdout())
    try:
        _run(events)
    except JobError as error:
        events.write("failed", message=str(error))
        code = 1
    except Exception as error:
        _LOG.exception("the engine broke")
        events.write("failed", message=f"the engine broke: {type(error).__name__}: {error}")
        code = 1
    else:
        code = 0
    events.close(_WRITE_TIMEOUT)
    return code


def _run(events: EventWriter) -> None:
    watchdog = Watchdog(read_lines(sys.stdin.fileno()), time.monotonic)
    lines = watchdog.lines()
    job = protocol.read_job(lines)
    try:
        descriptors.allow(job.slots)
    except OSError as error:
        raise JobError(str(error)) from error
    load_test = LoadTest(job, events)

    def on_terminate(number: int, frame: FrameType | None) -> None:
        load_test.stop()

    signal.signal(signal.SIGTERM, on_terminate)
    gevent.spawn(protocol.execute_commands, lines, load_test)
    if job.watch is not None:
        gevent.spawn(watchdog.watch, job.watch, load_test.abort, gevent.sleep)
    load_test.run()


if __name__ == "__main__":
    exit_code = main()
    sys.stderr.flush()
    # A thread still waits for standard input; an orderly exit would wait for it.
    os._exit(exit_code)
