"""The engine's process: `python -m tm_cli.server.engine`."""

# Sockets and threads must be replaced before anything else is imported.
from gevent import monkey

monkey.patch_all()

import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from types import FrameType  # noqa: E402

import gevent  # noqa: E402

from tm_cli.server.engine.distributed.roles import (  # noqa: E402
    MasterRole,
    WorkerRole,
    read_role,
)
from tm_cli.server.engine.job import EngineJob, JobError  # noqa: E402
from tm_cli.server.engine.load_test import LoadTest, check_open_files  # noqa: E402
from tm_cli.server.engine.protocol import (  # noqa: E402
    EventWriter,
    execute_commands,
    read_lines,
)

_LOG = logging.getLogger(__name__)
_WRITE_TIMEOUT = 5.0


def main() -> int:
    """Run the job of the first line; 0 after `finished`, 1 after `failed`."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # its advice on spawn rates does not apply here
    logging.getLogger("locust").setLevel(logging.ERROR)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which decides
    events = EventWriter(_claim_stdout())
    try:
        code = 0 if _run(events) else 1
    except JobError as error:
        events.write("failed", message=str(error))
        code = 1
    except Exception as error:
        _LOG.exception("internal error of the engine")
        events.write(
            "failed", message=f"internal error of the engine: {type(error).__name__}: {error}"
        )
        code = 1
    events.close(_WRITE_TIMEOUT)
    return code


def _run(events: EventWriter) -> bool:
    """Whether the run has not failed."""
    lines = read_lines(sys.stdin.fileno())
    match read_role(lines):
        case MasterRole() as role:
            return _lead(role, lines, events)
        case WorkerRole() as role:
            _work(role, lines)
        case job:
            _play(job, lines, events)
    return True


def _play(job: EngineJob, lines: Iterator[bytes], events: EventWriter) -> None:
    check_open_files(job)
    load_test = LoadTest(job, events)
    _on_terminate(load_test.stop)
    gevent.spawn(execute_commands, lines, load_test)
    load_test.run()


def _lead(role: MasterRole, lines: Iterator[bytes], events: EventWriter) -> bool:
    from tm_cli.server.engine.distributed.master import Master

    master = Master(role, events)
    _on_terminate(master.stop)
    return master.run(lines)


def _work(role: WorkerRole, lines: Iterator[bytes]) -> None:
    from tm_cli.server.engine.distributed.worker import Worker

    Worker(role).run(lines)


def _on_terminate(stop: Callable[[], None]) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, handle)


def _claim_stdout() -> int:
    """A descriptor for events alone; other output goes to standard error from now on."""
    events = os.dup(sys.stdout.fileno())
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


if __name__ == "__main__":
    exit_code = main()
    sys.stderr.flush()
    # A thread still waits for standard input; an orderly exit would wait for it.
    os._exit(exit_code)
