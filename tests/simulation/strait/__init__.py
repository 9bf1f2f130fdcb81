"""The simulated Strait service, and what its truth and its answers mean."""
