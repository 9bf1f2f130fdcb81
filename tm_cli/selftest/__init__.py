"""Checks that the gate fails where it must, on this machine and in this environment."""
