"""The systems whose runs tm gates: each joins a client of `api` to the protocol of `gate`."""
