"""Completion of command lines for bash, zsh, fish and PowerShell.

The scripts pass the words typed so far to `tm completion` and offer what it prints. They never
evaluate text that comes from a server.
"""
