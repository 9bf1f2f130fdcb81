"""The engine where nothing asks connections for their key: without_admission.py refused|silent."""

import sys

from gevent import monkey

monkey.patch_all()

import zmq.green as zmq  # noqa: E402

from tm_cli.server.engine import __main__ as engine  # noqa: E402

ZAP = "inproc://zeromq.zap.01"


def main(how):
    bind = zmq.Socket.bind

    def bind_others(self, address):
        if address != ZAP:
            return bind(self, address)
        if how == "refused":
            raise zmq.ZMQError(zmq.EADDRINUSE)
        return None

    zmq.Socket.bind = bind_others
    engine.os._exit(engine.main())


if __name__ == "__main__":
    main(sys.argv[1])
