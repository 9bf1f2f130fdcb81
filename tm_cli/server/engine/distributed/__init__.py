"""A run of several load generators: Locust's master and workers, and what they tell each other.

Locust knows who is there, deals out the senders and carries messages and reports. The parts here
add encryption, the shares of the curve, the sums of all results, and messages that are repeated
until they have arrived.
"""
