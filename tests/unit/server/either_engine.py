"""Becomes the real engine, or the command behind SWITCH while that file is there.

either_engine.py SWITCH COMMAND...
"""

import os
import sys


def main(switch, *otherwise):
    real = (sys.executable, "-m", "tm_cli.server.engine")
    command = otherwise if os.path.exists(switch) else real  # noqa: PTH110  # starts quicker
    os.execv(command[0], command)  # the process stays the same


if __name__ == "__main__":
    main(*sys.argv[1:])
