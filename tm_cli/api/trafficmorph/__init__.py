"""The TrafficMorph API, version 1."""
