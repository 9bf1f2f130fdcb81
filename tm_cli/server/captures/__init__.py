"""Captured traffic: what kinds of requests it has, and the profiles that send them again. No I/O."""
