"""The other end of `tm agent`: connections to a server, and worker processes on this machine."""
