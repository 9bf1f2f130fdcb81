"""A server in a process of its own with few file descriptors; prints its base URL once it listens.

limited_server.py DATA_DIR OPEN_FILES [SECONDS]

With SECONDS it takes all the descriptors that are left, and gives them back after that time.
"""

import asyncio
import os
import resource
import sys
from pathlib import Path

from tests.unit.server.running_server import FAKE_ENGINE
from tm_cli.server.server import ServeOptions, serve


def main(data_dir, open_files, seconds=None):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(open_files), int(open_files)))

    def announce(info):
        if seconds is not None:
            asyncio.get_running_loop().call_later(float(seconds), give_back, take_all())
        sys.stdout.write(info.base_url + "\n")
        sys.stdout.flush()

    options = ServeOptions(Path(data_dir), port=0, engine_command=FAKE_ENGINE)
    serve(options, on_ready=announce)


def take_all():
    taken = []
    while True:
        try:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return taken


def give_back(taken):
    for descriptor in taken:
        os.close(descriptor)


if __name__ == "__main__":
    main(*sys.argv[1:])
