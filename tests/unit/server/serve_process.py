"""A server in a process of its own; prints its base URL once it listens.

serve_process.py DATA_DIR
"""

import sys
from pathlib import Path

from tm_cli.errors import TmError
from tm_cli.server.server import ServeOptions, serve


def main(data_dir):
    engine = (sys.executable, str(Path(__file__).with_name("fake_engine.py")))
    options = ServeOptions(Path(data_dir), port=0, engine_command=engine)
    try:
        serve(options, on_ready=announce)
    except TmError as error:
        sys.stderr.write(error.message + "\n")
        return int(error.exit_code)
    return 0


def announce(info):
    sys.stdout.write(info.base_url + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
