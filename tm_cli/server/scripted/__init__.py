"""The embedded server with a script in the place of its load generator, for `tm selftest`."""
