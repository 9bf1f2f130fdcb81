"""`python -m tm_cli` is `tm`."""

from tm_cli.main import run

run()
