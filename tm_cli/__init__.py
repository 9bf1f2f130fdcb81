"""Gate CI on load tests: start a run, wait for its own verdict, turn it into an exit code."""

__version__ = "0.1.0"
VERSION_LINE = f"tm {__version__} (spec v1)"
