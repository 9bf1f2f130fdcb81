"""The load generator: an open model on Locust, in a process of its own.

Start it with `python -m tm_cli.server.engine`; JSON lines on standard input control it, JSON lines
on standard output report what happens. Only that process may import the gevent half (`__main__`,
`load_test`, `sender`, `connections`, `response`, `protocol`): Locust replaces the standard
library's sockets and threads. The rest does no input or output and is safe anywhere; the server
makes the `job`.
"""
