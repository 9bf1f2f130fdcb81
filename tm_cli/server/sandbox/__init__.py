"""JavaScript of profiles, run in a process of its own: `python -m tm_cli.server.sandbox`."""
