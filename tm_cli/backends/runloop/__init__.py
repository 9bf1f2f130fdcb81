"""Runloop benchmark runs and jobs for the gate."""
