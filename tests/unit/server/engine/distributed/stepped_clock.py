"""The engine on a host whose wall clock is set 10 s ahead after 4 s, and back 4 s later."""

import time

from gevent import monkey

monkey.patch_all()

from tm_cli.server.engine import __main__ as engine  # noqa: E402


def main():
    real, begun = time.time, time.monotonic()
    time.time = lambda: real() + (10.0 if 4.0 < time.monotonic() - begun < 8.0 else 0.0)
    engine.os._exit(engine.main())


if __name__ == "__main__":
    main()
