"""The engine on a host whose wall clock is set: stepped_clock.py AFTER STEP, both in seconds."""

import sys
import time

from gevent import monkey

monkey.patch_all()

from tm_cli.server.engine import __main__ as engine  # noqa: E402


def main(after, step):
    real, begun = time.time, time.monotonic()
    time.time = lambda: real() + (step if time.monotonic() - begun > after else 0.0)
    code = engine.main()
    engine.os._exit(code)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
