"""Proves that the gate goes red where it must, on this machine and in this environment."""
