"""The workers of a run: engines on this machine and on others.

Each sends its share of the curve and reports its results; the server coordinates them and merges
their reports into the events of a single engine.
"""
