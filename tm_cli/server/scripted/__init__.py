"""The embedded server with scripted runs instead of a load generator, for `tm selftest`."""
