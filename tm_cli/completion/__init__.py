"""What may follow on a command line that is being typed, for any shell.

The shells' scripts hand over the words and print what comes back. Nothing that a server has said is
evaluated by a shell.
"""
