"""The embedded server: the TrafficMorph API on loopback, with a load generator behind it."""
