"""Checks whether a gate can work here; each check has a result and a fix."""
