"""The command line as Typer sees it: groups, options, help, sessions."""
