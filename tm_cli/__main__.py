"""`python -m tm_cli` is `tm`."""

from tm_cli.runtime.child_environment import clean_import_path

# Before anything else is imported: a `queue.py` of the working directory is not meant.
clean_import_path(started_as_module=True)

from tm_cli.main import run  # noqa: E402

run()
