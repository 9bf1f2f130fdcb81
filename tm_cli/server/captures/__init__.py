"""Captured traffic: its kinds of requests, and the profiles that send them again. No I/O."""
