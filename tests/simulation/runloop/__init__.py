"""The simulated Runloop service, and what its truth and its answers mean."""
