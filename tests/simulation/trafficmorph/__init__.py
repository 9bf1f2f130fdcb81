"""The simulated TrafficMorph service, and what its truth and its answers mean."""
