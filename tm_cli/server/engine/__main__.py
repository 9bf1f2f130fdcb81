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

from tm_cli.server.engine.job import JobError  # noqa: E402
from tm_cli.server.engine.load_test import LoadTest  # noqa: E402
from tm_cli.server.engine.protocol import (  # noqa: E402
    EventWriter,
    Watchdog,
    execute_commands,
    read_job,
    read_lines,
)

_LOG = logging.getLogger(__name__)
_WRITE_TIMEOUT = 5.0
_SPARE = 64  # descriptors in addition to the connections


def main() -> int:
    """Run the job of the first line; 0 after `finished`, 1 after `failed`."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # its advice on spawn rates does not apply here
    logging.getLogger("locust").setLevel(logging.ERROR)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which decides
    events = EventWriter(_claim_stdout())
    try:
        _run(events)
    except JobError as error:
        events.write("failed", message=str(error))
        code = 1
    except Exception as error:
        _LOG.exception("internal error of the engine")
        events.write(
            "failed", message=f"internal error of the engine: {type(error).__name__}: {error}"
        )
        code = 1
    else:
        code = 0
    events.close(_WRITE_TIMEOUT)
    return code


def _run(events: EventWriter) -> None:
    watchdog = Watchdog(read_lines(sys.stdin.fileno()), time.monotonic)
    lines = watchdog.lines()
    job = read_job(lines)
    try:
        _allow_connections(job.slots * (1 + len(job.origins)))
    except OSError as error:
        raise JobError(str(error)) from error
    load_test = LoadTest(job, events)

    def on_terminate(number: int, frame: FrameType | None) -> None:
        load_test.stop()

    signal.signal(signal.SIGTERM, on_terminate)
    gevent.spawn(execute_commands, lines, load_test)
    if job.watchdog_timeout is not None:
        gevent.spawn(watchdog.run, job.watchdog_timeout, load_test.abort, gevent.sleep)
    load_test.run()


def _claim_stdout() -> int:
    """A descriptor for events alone; other output goes to standard error from now on."""
    events = os.dup(sys.stdout.fileno())
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


def _allow_connections(connections: int) -> None:
    """Raise this process's limit of open files if so many connections need it.

    OSError if the system's hard limit is lower.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(f"{connections} slots need {wanted} open files, the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    exit_code = main()
    sys.stderr.flush()
    # A thread still waits for standard input; an orderly exit would wait for it.
    os._exit(exit_code)
