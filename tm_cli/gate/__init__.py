"""What tm is for: start a run, watch it, find its own verdict, decide.

Knows no system by name and no HTTP; each system joins in through `system.Backend`.
"""
