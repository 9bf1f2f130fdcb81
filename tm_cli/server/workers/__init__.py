"""The load generators of a run, as the server sees them, on this machine and on others.

Several are workers, which send a share of the curve each; the run's master leads them, and says
what a single one would say.
"""
