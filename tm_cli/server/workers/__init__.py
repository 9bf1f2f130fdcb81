"""Several engines that play one run together, on this machine and on others.

Each works on its own share of the curve and tells what it did; the server leads them, and merges
what they tell into the events of a single engine.
"""
